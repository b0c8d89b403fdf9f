"""What a server counted since it started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """Counters; those that go down again are named by what is there now."""

    clients: int = 0
    channels: int = 0
    searches: int = 0
    """Names that were searched for, over UDP and TCP."""
    found: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    reads: int = 0
    """Reads that were answered from the cache."""
    writes: int = 0
    """Writes without reply that were taken in runs."""
    updates_replaced: int = 0
    """Monitor updates that a newer one replaced because the client was slow."""
    refused_datagrams: int = 0
    """Datagrams from ignored addresses."""
