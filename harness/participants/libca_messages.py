"""Print the exceptions of libca as its own tools do: "Virtual circuit unresponsive", "Identical process variable …".

libca tells such things to an exception handler; pyepics installs none, and then they are lost.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any


class _Args(ctypes.Structure):
    """``struct exception_handler_args`` of ``cadef.h``."""

    _fields_ = (
        ("usr", ctypes.c_void_p),
        ("chid", ctypes.c_void_p),
        ("type", ctypes.c_long),
        ("count", ctypes.c_long),
        ("addr", ctypes.c_void_p),
        ("stat", ctypes.c_long),
        ("op", ctypes.c_long),
        ("ctx", ctypes.c_char_p),
        ("file", ctypes.c_char_p),
        ("line", ctypes.c_uint),
    )


def show_messages(library: Any) -> object:
    """Install a handler that prints each exception of the current context as a line on standard error.

    Args:
        library: the loaded libca (``epics.ca.libca``).

    Returns:
        What must be kept alive as long as the context.
    """
    library.ca_message.restype = ctypes.c_char_p

    def handle(args: _Args) -> None:
        text = library.ca_message(args.stat) or b"?"
        os.write(2, b"\nCA.Client.Exception: " + text + b": " + (args.ctx or b"") + b"\n")

    kind = ctypes.CFUNCTYPE(None, _Args)
    kept = kind(handle)
    library.ca_add_exception_event(kept, None)
    return kept
