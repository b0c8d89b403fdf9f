"""Serve a group in a thread while a test, a notebook or another program goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from canet.server.io.driver import Addresses
from canet.server.ioc.group import Group, stop
from canet.server.ioc.serving import run

LOOPBACK: Mapping[str, str] = {
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
}
"""Variables of a server that nobody else hears."""


@contextmanager
def background(
    group: Group,
    backend: str = "asyncio",
    *,
    acf: str | Path | None = None,
    check_client_ip: bool = False,
    statistics: str | None = None,
    environment: Mapping[str, str] = LOOPBACK,
    timeout: float = 10.0,
) -> Iterator[Addresses]:
    """Serve a group in a thread of its own, until the ``with`` block ends.

    Args:
        group: What to serve.
        backend: asyncio, curio or trio.
        acf: An access security file.
        check_client_ip: As for :func:`canet.server.ioc.run`.
        statistics: Prefix of PVs that count; ``None``: there are none.
        environment: Where ``EPICS_CA…`` variables are read; by default the server is on the loopback interface only.
        timeout: Seconds that starting and ending may take.

    Yields:
        The addresses that the server is bound to; it answers.

    Raises:
        ValueError, OSError: What :func:`canet.server.ioc.run` raises.
        TimeoutError: It does not answer, or does not end, in time.
    """
    begun = threading.Event()
    bound: list[Addresses] = []
    failed: list[BaseException] = []

    def ready(addresses: Addresses) -> None:
        bound.append(addresses)
        begun.set()

    def serve() -> None:
        try:
            run(
                group,
                backend,
                acf=acf,
                check_client_ip=check_client_ip,
                statistics=statistics,
                environment=environment,
                ready=ready,
            )
        except BaseException as error:  # it is raised where somebody waits for it
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=serve, name=f"{type(group).__name__} on {backend}", daemon=True)
    thread.start()
    try:
        if not begun.wait(timeout):
            raise TimeoutError(f"the server does not answer after {timeout:g} s: do its startup hooks end?")
        if not failed:
            yield bound[0]
    finally:
        stop(group)
        thread.join(timeout)
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError(f"the server has not ended after {timeout:g} s")
