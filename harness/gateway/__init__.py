"""Between networks: a name server, a Channel Access gateway, and a relay of broadcasts.

The name server and the gateway are canet's server core on one side and its client core on the other; the relay only
repeats datagrams. All three are programs for users (``canet nameserver``, ``canet relay``) and participants of
scenarios (``implementation = "nameserver"``, ``"gateway"``, ``"relay"``).
"""
