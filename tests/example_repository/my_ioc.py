"""The IOC of this repository: it serves one temperature. Yours may be anything that serves Channel Access."""

from __future__ import annotations

from canet.server.process import serve

if __name__ == "__main__":
    serve({"backend": "asyncio", "pvs": {"room:temperature": 21.5}})
