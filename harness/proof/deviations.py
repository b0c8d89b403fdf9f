"""The known deviations: where the model may say something else than the kernel, and why. There are none.

An entry is no excuse for ever: a run in which model and kernel agree there fails, so that the entry has to go.
"""

from __future__ import annotations

from collections.abc import Mapping

DEVIATIONS: Mapping[tuple[str, str], str] = {}
"""(key of a variant, name of the server, probe, client or step) → the reason."""
