"""Other people's servers and clients, and our own: how each is started, known to be ready, and what it says.

A :class:`~canet.harness.participants.recipe.Recipe` is all that the lab needs to start one. The modules
``serve_*`` and ``read_*`` run inside the started process; each imports its foreign package there and nowhere else.
"""
