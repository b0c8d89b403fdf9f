"""A complete Channel Access server on asyncio, curio or trio."""
