"""Import curio 1.6 on Python 3.12 and later, where two names that it imports are gone.

``multiprocessing.connection.CHALLENGE`` and ``ssl.wrap_socket`` serve parts of curio that are not used here; names
that stand in for them let the import succeed.
"""

from __future__ import annotations

import multiprocessing.connection
import ssl


def _gone(*_: object, **__: object) -> None:
    """Stand in for ``ssl.wrap_socket``."""
    raise NotImplementedError("ssl.wrap_socket was removed in Python 3.12")


for _module, _name, _value in (
    (multiprocessing.connection, "CHALLENGE", b"#CHALLENGE#"),
    (multiprocessing.connection, "WELCOME", b"#WELCOME#"),
    (multiprocessing.connection, "FAILURE", b"#FAILURE#"),
    (ssl, "wrap_socket", _gone),
):
    if not hasattr(_module, _name):
        setattr(_module, _name, _value)

import curio  # noqa: E402 - only now can it be imported
import curio.traps  # noqa: E402

__all__ = ["curio"]
