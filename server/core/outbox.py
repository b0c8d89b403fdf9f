"""Bytes on their way to a client: owned by the core, taken by the driver, bounded by rules that need no loop."""

from __future__ import annotations

from collections import deque

JOIN_BELOW = 16 * 1024
"""Payloads from this size on are handed to the kernel where they lie instead of being copied into a joined reply."""


class Outbox:
    """A queue of byte strings with its size."""

    __slots__ = ("chunks", "size")

    def __init__(self) -> None:
        self.chunks: deque[bytes | memoryview] = deque()
        self.size = 0

    def put(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        self.chunks.append(chunk)
        self.size += len(chunk)

    def buffers(self, most: int = 64) -> list[bytes | memoryview]:
        """Return what should be sent next, small pieces joined; then call :meth:`sent`."""
        chunks = self.chunks
        if len(chunks) > 1 and self.size < JOIN_BELOW:
            joined = b"".join(chunks)
            chunks.clear()
            chunks.append(joined)
        if len(chunks) == 1:
            return [chunks[0]]
        result: list[bytes | memoryview] = []
        while chunks and len(result) < most:
            small: list[bytes | memoryview] = []
            while chunks and len(chunks[0]) < JOIN_BELOW:
                small.append(chunks.popleft())
            if small:
                result.append(small[0] if len(small) == 1 else b"".join(small))
            else:
                result.append(chunks.popleft())
        chunks.extendleft(reversed(result))
        return result

    def sent(self, number: int) -> None:
        """Remove ``number`` bytes from the front: the kernel has them."""
        chunks = self.chunks
        self.size -= number
        if not self.size:
            chunks.clear()
            return
        while number:
            first = chunks[0]
            if len(first) > number:
                chunks[0] = memoryview(first)[number:]
                return
            number -= len(first)
            chunks.popleft()

    def clear(self) -> None:
        """Forget all: the client is gone."""
        self.chunks.clear()
        self.size = 0
