"""What holds for all tests: properties store no examples and have all the time they need."""

from __future__ import annotations

from hypothesis import settings

# The checkout may be another user's, who lets us read only; and a busy machine is no failure.
settings.register_profile("canet", database=None, deadline=None)
settings.load_profile("canet")
