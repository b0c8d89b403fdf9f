"""A queue for tasks of any backend: all it needs is an event."""

from __future__ import annotations

from collections import deque
from typing import Any

from canet.server.io.seam import Event


class EventQueue:
    """Items in order, from callbacks or tasks, to tasks.

    Args:
        event: a fresh event of the backend.
    """

    def __init__(self, event: Event) -> None:
        self._items: deque[Any] = deque()
        self._event = event

    def put(self, item: Any) -> None:
        """Add an item; never waits."""
        self._items.append(item)
        self._event.set()

    async def get(self) -> Any:
        """Wait for the next item and return it."""
        while not self._items:
            self._event.clear()
            await self._event.wait()
        return self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)
