"""What works on this machine and what does not, with the exact thing to do: the findings of ``canet doctor``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from canet.harness.participants.recipe import PARTS, missing
from canet.netns.features import features

Group = Literal["machine", "namespaces", "peers", "programs", "limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    group: Group
    name: str
    works: bool
    needed: bool = False
    """Without it no scenario can be run."""
    detail: str = ""
    remedy: str = ""


def findings() -> Iterator[Finding]:
    """Look at everything; takes some tenths of a second, changes nothing and sends nothing."""
    yield from _machine()
    for each in features():
        yield Finding(
            group="namespaces",
            name=each.name,
            works=each.works,
            needed=each.needed,
            detail=each.detail or f"for: {each.purpose}",
            remedy=each.remedy,
        )
    yield from _peers()
    yield from _programs()
    yield from _limits()


def _machine() -> Iterator[Finding]:
    yield Finding(group="machine", name="kernel", works=True, detail=f"Linux {platform.release()}")
    yield Finding(group="machine", name="python", works=True, detail=platform.python_version())
    who = "root" if os.geteuid() == 0 else f"user id {os.getuid()}"
    yield Finding(group="machine", name="user", works=True, detail=f"{who}, {len(os.sched_getaffinity(0))} CPUs")
    for name in ("user.max_user_namespaces", "kernel.unprivileged_userns_clone", _APPARMOR):
        value = _sysctl(name)
        if value is not None:
            blocked = value == ("1" if name == _APPARMOR else "0")
            remedy = f"as root: sysctl {name}={'0' if name == _APPARMOR else '10000' if 'max' in name else '1'}"
            works = not blocked or os.geteuid() == 0
            yield Finding(group="machine", name=name, works=works, detail=value, remedy="" if works else remedy)


_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name.replace(".", "/")).read_text(encoding="ascii").strip()
    except OSError:
        return None


def _peers() -> Iterator[Finding]:
    for part, known in PARTS.items():
        sentence = missing(part)
        yield Finding(
            group="peers",
            name=part,
            works=sentence is None,
            detail=f"{known.module} {_version(known.module)}" if sentence is None else f"{known.module} is missing",
            remedy="pip install 'canet[peers]'" if sentence else "",
        )


def _version(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module, [module])
    try:
        return importlib.metadata.version(names[0])
    except importlib.metadata.PackageNotFoundError:
        return ""


_PROGRAMS = (
    ("tshark", ("tshark",), "to read captures; canet writes them without it", "install wireshark-cli or tshark"),
    ("ip", ("ip",), "to look around in a lab; canet needs it not", "install iproute2"),
    ("nsenter", ("nsenter",), "to enter a lab from another terminal", "install util-linux"),
    ("chromium", ("chromium", "chromium-browser", "google-chrome"), "to check reports in a browser", ""),
)


def _programs() -> Iterator[Finding]:
    for name, commands, purpose, remedy in _PROGRAMS:
        found = next((path for each in commands if (path := shutil.which(each))), None)
        yield Finding(
            group="programs",
            name=name,
            works=found is not None,
            detail=found or purpose,
            remedy="" if found else remedy,
        )


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Finding(
        group="limits",
        name="open files",
        works=hard == resource.RLIM_INFINITY or hard >= 4096,
        detail=f"{soft}, at most {hard}",
        remedy="" if hard >= 4096 else "ulimit -Hn 65536: a lab of 200 hosts needs some 1,000 descriptors",
    )
