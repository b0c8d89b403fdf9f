"""How each implementation of a server or client is started: a table from its name to a recipe."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from canet.harness.participants import serve_rsrv
from canet.scenarios.model import SUBJECTS, WITNESS, Client, Server, Value
from canet.scenarios.versions import as_it_reads

BACKENDS = ("asyncio", "curio", "trio")
SERVERS = (
    "canet",
    "rsrv",
    "caproto",
    "pcaspy",
    "nameserver",
    "gateway",
    "relay",
    "repeater",
    "occupant",
    "scripted",
    "mrouter",
    "command",
)
CLIENTS = ("libca", "caproto", "canet", "command")
WATCHERS = ("libca", "caproto")
"""Clients that can stay (step ``watch``)."""
PEERS = ("rsrv", "caproto-asyncio", "caproto-curio", "caproto-trio", "pcaspy")
"""Subjects that are not canet: other people's servers."""

WITNESS_VALUE = 1.0

OWN: dict[str, tuple[str, ...]] = {
    "nameserver": ("canet.harness.gateway.nameserver",),
    "gateway": ("canet.harness.gateway.gateway",),
    "relay": ("canet.harness.gateway.relay",),
    "repeater": ("canet.harness.participants.serve_repeater",),
    "occupant": ("canet.harness.participants.serve_occupant",),
    "scripted": ("canet.harness.participants.serve_scripted",),
    "mrouter": ("canet.harness.participants.serve_mrouter",),
}
"""Servers of the harness itself → the modules that the launcher imports for them; the first one has ``serve``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to start. Either ``target`` (forked from the launcher that has its modules) or ``argv`` (executed)."""

    implementation: str
    """For example ``canet-trio``."""
    target: str | None = None
    """``module:function``, called with ``config``."""
    config: Mapping[str, object] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None
    ready: str | None = None
    """A regular expression in the output that says that it is ready; ``None``: its sockets do."""
    fatal: str | None = None
    """A regular expression in the output that says that it will never be ready, though its process lives on."""
    reports: bool = False
    """It writes JSON lines about itself (``ready``, ``datagram``) into its output: ours does."""


@dataclass(frozen=True, slots=True)
class Part:
    """An implementation that comes in a package of its own."""

    module: str
    """What must be importable."""
    preload: tuple[str, ...]
    """What the launcher imports before it forks."""


PARTS: dict[str, Part] = {
    "rsrv": Part("softioc", ("canet.harness.participants.serve_rsrv",)),
    "caproto": Part("caproto", ("canet.harness.participants.serve_caproto",)),
    "pcaspy": Part("pcaspy", ("canet.harness.participants.serve_pcaspy",)),
    "libca": Part(
        "epics", ("canet.harness.participants.read_libca", "canet.harness.participants.watch_libca", "epics")
    ),
    "caproto client": Part("caproto", ("canet.harness.participants.read_caproto",)),
}


def missing(part: str) -> str | None:
    """Return the sentence that says how to get an implementation that is not installed; ``None`` if it is there."""
    known = PARTS.get(part)
    if known is None or importlib.util.find_spec(known.module) is not None:
        return None
    return f"{part} needs the package {known.module!r}, which is not installed: pip install 'canet[peers]'"


def resolve(server: Server, subject: str, position: int) -> tuple[str, str]:
    """Return the implementation and the backend that a server runs with, in a run of ``subject``.

    >>> resolve(Server(name="a", host="h"), "mix", 4)
    ('canet', 'curio')
    >>> resolve(Server(name="a", host="h", implementation="caproto"), "trio", 0)
    ('caproto', 'asyncio')
    """
    if subject in SUBJECTS:
        implementation, backend = "canet", BACKENDS[position % 3] if subject == "mix" else subject
    else:
        implementation, _, backend = subject.partition("-")
    if server.implementation is not None and server.implementation != implementation:
        implementation = server.implementation
        if implementation != "canet" or subject not in SUBJECTS:
            backend = ""
    return implementation, server.backend or backend or "asyncio"


def parts_of(servers: Sequence[Server], clients: Sequence[Client], subject: str) -> tuple[str, ...]:
    """Return the packages' names (keys of :data:`PARTS`) that a run needs, each once."""
    names = [resolve(server, subject, n)[0] for n, server in enumerate(servers)]
    names += ["caproto client" if c.implementation == "caproto" else c.implementation for c in clients]
    return tuple(dict.fromkeys(name for name in names if name in PARTS))


def preload(servers: Sequence[Server], clients: Sequence[Client], subject: str) -> tuple[str, ...]:
    """Return the modules that the launcher should import before it forks these participants."""
    modules = ["canet.harness.participants.gate"]
    for position, server in enumerate(servers):
        implementation, backend = resolve(server, subject, position)
        if implementation in ("canet", "nameserver", "gateway"):
            modules += ["canet.server.process", f"canet.server.backends.{backend}"]
        modules += OWN.get(implementation, ())
    for client in clients:
        if client.implementation == "canet":
            modules.append("canet.harness.participants.read_canet")
    # librsrv and libca start threads or read the environment when they are first used, not when they are imported.
    for part in parts_of(servers, clients, subject):
        modules += PARTS[part].preload
    return tuple(dict.fromkeys(modules))


def server_recipe(server: Server, subject: str, position: int, *, trace: bool = True) -> Recipe:
    """Return how to start a server in a run of ``subject``.

    Raises:
        ValueError: the implementation is not known.
    """
    server = as_it_reads(server)
    implementation, backend = resolve(server, subject, position)
    try:
        make = _SERVER_RECIPES[implementation]
    except KeyError:
        raise ValueError(f"server {server.name}: {implementation!r} is none of {', '.join(SERVERS)}") from None
    return make(server, backend, trace)


def served(server: Server) -> dict[str, Value]:
    """Return the PVs that a server serves: the witness first, then its own."""
    return {WITNESS: WITNESS_VALUE, **server.pvs}


def _canet(server: Server, backend: str, trace: bool) -> Recipe:
    config = {
        "backend": backend,
        "pvs": served(server),
        "layout": server.layout,
        "reuse": server.reuse,
        "env": dict(server.env),
        "report_fd": 1,
        "trace": trace,
        **server.options,
    }
    return Recipe(
        implementation=f"canet-{backend}",
        target="canet.server.process:serve",
        config=config,
        env=server.env,
        uid=server.uid,
        reports=True,
    )


def _rsrv(server: Server, _backend: str, _trace: bool) -> Recipe:
    return Recipe(
        implementation="rsrv",
        target="canet.harness.participants.serve_rsrv:serve",
        config={"pvs": served(server), **server.options},
        env=server.env,
        uid=server.uid,
        # Its sockets are there earlier, but until then it throws away what they receive (``cast_server.c``, ctlRun).
        ready=serve_rsrv.DONE if server.options.get("afterwards") else "iocRun: All initialization complete",
        fatal="can't proceed, suspending",
    )


def _caproto(server: Server, backend: str, _trace: bool) -> Recipe:
    return Recipe(
        implementation=f"caproto-{backend}",
        target="canet.harness.participants.serve_caproto:serve",
        config={"pvs": served(server), "backend": backend, **server.options},
        env=server.env,
        uid=server.uid,
    )


def _pcaspy(server: Server, _backend: str, _trace: bool) -> Recipe:
    return Recipe(
        implementation="pcaspy",
        target="canet.harness.participants.serve_pcaspy:serve",
        config={"pvs": served(server), **server.options},
        env=server.env,
        uid=server.uid,
    )


def _command(server: Server, _backend: str, _trace: bool) -> Recipe:
    return Recipe(
        implementation="command",
        argv=_words(server.command),
        cwd=server.cwd,
        env=server.env,
        uid=server.uid,
        ready=server.ready,
    )


def _own(kind: str) -> Callable[[Server, str, bool], Recipe]:
    """Return the recipe of a server of the harness itself; each prints ``ready`` and what it reads."""

    def make(server: Server, backend: str, trace: bool) -> Recipe:
        config = {
            "backend": backend,
            "pvs": served(server),
            "layout": server.layout,
            "reuse": server.reuse,
            "env": dict(server.env),
            "report_fd": 1,
            "trace": trace,
            **server.options,
        }
        return Recipe(
            implementation=kind,
            target=f"{OWN[kind][0]}:serve",
            config=config,
            env=server.env,
            uid=server.uid,
            reports=True,
        )

    return make


_SERVER_RECIPES: dict[str, Callable[[Server, str, bool], Recipe]] = {
    "canet": _canet,
    "rsrv": _rsrv,
    "caproto": _caproto,
    "pcaspy": _pcaspy,
    "command": _command,
    **{kind: _own(kind) for kind in OWN},
}


def client_recipe(client: Client, pvs: Sequence[str]) -> Recipe:
    """Return how to start one try of a client that reads ``pvs``.

    Raises:
        ValueError: the implementation is not known.
    """
    config = {"pvs": list(pvs), "timeout": client.timeout, **client.options}
    if client.implementation == "command":
        return Recipe(implementation="command", argv=_words(client.command), env=client.env, uid=client.uid)
    if client.implementation not in CLIENTS:
        raise ValueError(f"client {client.name}: {client.implementation!r} is none of {', '.join(CLIENTS)}")
    return Recipe(
        implementation=client.implementation,
        target=f"canet.harness.participants.read_{client.implementation}:read",
        config=config,
        env=client.env,
        uid=client.uid,
        reports=True,
    )


def watch_recipe(client: Client, pvs: Sequence[str]) -> Recipe:
    """Return how to start a client that stays connected to ``pvs`` and prints what happens to it.

    Raises:
        ValueError: the implementation cannot.
    """
    if client.implementation == "command":
        return Recipe(implementation="command", argv=_words(client.command), env=client.env, uid=client.uid)
    if client.implementation not in WATCHERS:
        raise ValueError(f"client {client.name}: only {', '.join(WATCHERS)} and command can stay, for a step 'watch'")
    return Recipe(
        implementation=client.implementation,
        target=f"canet.harness.participants.watch_{client.implementation}:watch",
        config={"pvs": list(pvs), **client.options},
        env=client.env,
        uid=client.uid,
        reports=True,
    )


def _words(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command line; ``{python}`` stands for the Python that runs the lab, which has canet and its peers."""
    return tuple(word.replace("{python}", sys.executable) for word in command)


def all_pvs(servers: Sequence[Server]) -> tuple[str, ...]:
    """Return the own PVs of all servers, each once, in the order of the file."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(server.pvs for server in servers)))
