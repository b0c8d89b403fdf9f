"""The rooms of the repository, and which of them may know which: the arrows of the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("server", "netns", "scenarios", "harness")

# Room or file → the rooms of ours that it may import besides itself.
OURS: dict[str, tuple[str, ...]] = {
    "server": (),
    "netns": (),
    "scenarios": ("canet.netns.topology",),
    "harness": ("canet.server", "canet.netns", "canet.scenarios"),
    "server/protocol": ("canet.server.protocol",),
    "server/core": ("canet.server.protocol", "canet.server.core"),
    "server/backends": ("canet.server.backends", "canet.server.io.seam", "canet.server.io.queue"),
    "server/database": ("canet.server.database", "canet.server.core", "canet.server.protocol"),
    "server/io": ("canet.server.io", "canet.server.core", "canet.server.protocol", "canet.server.backends"),
}

# Inside the harness data flows one way: scenario → prediction, lab → observation → verdict → report.
# A room → the others that it may import, besides the values of observation.py; the edge (below) knows all of them.
HARNESS: dict[str, tuple[str, ...]] = {
    "packets": (),
    "client": (),
    "gateway": ("client",),
    "participants": ("client", "gateway"),
    "wire": ("packets",),
    "lab": ("wire", "client", "participants"),
    "predict": ("participants",),
    "verdict": (),
    "proof": ("predict", "participants", "verdict", "wire"),
    "run": ("lab", "participants", "predict", "proof", "verdict", "wire"),
    "report": ("run", "participants", "predict", "proof", "verdict", "wire"),
    "diagnosis": ("predict",),
    "site": ("diagnosis", "predict", "lab"),
    "bench": ("client", "lab", "predict", "run", "site"),
}
EDGE = ("harness/cli.py", "harness/prompt.py", "harness/pytest_plugin.py", "harness/commands")

# Foreign library → the only places that may import it; a place is a folder or a file below the root.
FOREIGN: dict[str, tuple[str, ...]] = {
    "scapy": ("harness/packets",),
    "pyroute2": ("netns/netlink.py",),
    "netifaces": ("server/io/interfaces.py",),
    "asyncio": ("server/backends",),
    "curio": ("server/backends",),
    "trio": ("server/backends",),
    "msgspec": ("scenarios", "harness"),
    "rich": ("harness",),
    "typer": ("harness",),
    "jinja2": ("harness",),
    "numpy": ("server", "harness"),
}

# Modules that nothing in a sans-I/O room may import: they wait, look at a clock or open a socket.
WAITING = ("asyncio", "curio", "trio", "socket", "select", "selectors", "threading", "time", "subprocess")
SANS_IO = (
    "server/protocol",
    "server/core",
    "netns/topology.py",
    "netns/plan.py",
    "scenarios/model.py",
    "harness/predict",
)

# What a sans-I/O file may do all the same, and why.
EXCEPTIONS: dict[str, tuple[set[str], int]] = {
    "server/core/pv.py": ({"time"}, 0),  # stamps what an author posts without a time; the clock can be replaced
}


def modules() -> Iterator[Path]:
    """Yield every Python file of the four rooms, relative to the root."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT)


def imports(path: Path) -> set[str]:
    """Return the absolute names of all that a file imports, type-checking imports included."""
    package = ("canet", *path.parent.parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            module = (base + (node.module or "")).rstrip(".")
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def within(path: Path, places: tuple[str, ...]) -> bool:
    """Say whether a file is one of ``places`` or below one of them."""
    return any(path.as_posix() == place or path.as_posix().startswith(place + "/") for place in places)


def starts(name: str, prefixes: tuple[str, ...]) -> bool:
    """Say whether a dotted name is one of ``prefixes`` or below one of them."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_imports_follow_the_arrows(path: Path) -> None:
    """A module imports only what its room may know, and foreign libraries only in their places."""
    names = imports(path)
    ours = {name for name in names if starts(name, ("canet",))}
    place = max((each for each in OURS if within(path, (each,))), key=len)
    allowed = (*OURS[place], "canet.__version__", *((f"canet.{place}",) if "/" not in place else ()))
    wrong = {name for name in ours if name != "canet" and not starts(name, allowed)}
    wrong -= {name for name in wrong if any(each.startswith(name + ".") for each in allowed)}  # packages on the way
    assert wrong == set(), f"{path} may import {', '.join(allowed)}"
    strays = {n for n in names for f, places in FOREIGN.items() if starts(n, (f,)) and not within(path, places)}
    assert strays == set()


@pytest.mark.parametrize("room", HARNESS)
def test_data_flows_one_way_through_the_harness(room: str) -> None:
    """A room of the harness knows what comes before it, and nothing of what comes after."""
    known = {f"canet.harness.{each}" for each in (room, "observation", *HARNESS[room])}
    for path in (ROOT / "harness" / room).rglob("*.py"):
        ours = {
            ".".join(name.split(".")[:3])
            for name in imports(path.relative_to(ROOT))
            if starts(name, ("canet.harness",))
        }
        assert ours - known - {"canet.harness"} == set(), path


def test_every_room_of_the_harness_has_its_arrows() -> None:
    """A new folder or file in the harness says what it may know."""
    there = {path.relative_to(ROOT) for path in (ROOT / "harness").iterdir() if path.suffix in ("", ".py")}
    rooms = {each.name for each in there if not within(each, EDGE)} - {"__init__.py", "__pycache__", "observation.py"}
    assert rooms == set(HARNESS)


@pytest.mark.parametrize("path", [p for p in modules() if within(p, SANS_IO)], ids=str)
def test_sans_io_rooms_cannot_wait(path: Path) -> None:
    """Protocol, core, plans and predictions import nothing that waits, and hold no coroutine."""
    modules, awaits = EXCEPTIONS.get(path.as_posix(), (set(), 0))
    assert {name for name in imports(path) if starts(name, WAITING)} - modules == set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert len([node.lineno for node in ast.walk(tree) if isinstance(node, ast.Await)]) == awaits


@pytest.mark.parametrize("path", [p for p in modules() if within(p, ("server/backends",))], ids=str)
def test_backends_stay_small(path: Path) -> None:
    """A backend only waits: under 150 lines, and no word of Channel Access."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert not any(word in text for word in ("DBR", "ECA_", "circuit.", "protocol"))


def test_the_rooms_are_real() -> None:
    """Each room of the rules exists, so that a renamed folder does not silence its rule."""
    for place in (*OURS, *SANS_IO, "server/backends"):
        assert (ROOT / place).exists(), place
