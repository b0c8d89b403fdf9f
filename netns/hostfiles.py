"""A host's own view of the file system: its /proc, and files such as /etc/hosts that only it sees.

Runs in a new mount namespace. The contents live in a tmpfs without a place in the tree: it is mounted for a
moment, its files are bound over their targets, and it is let go. Nothing is written to the machine's disk.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from canet.netns.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount, umount

_SCRATCH = "/tmp"  # exists everywhere, and is given back before anything else runs in the namespace


def prepare(files: dict[str, str], *, private_tmp: bool = False) -> list[str]:
    """Give the calling process's new mount namespace its own /proc and files; return what could not be had.

    Raises:
        OSError: if a file cannot be put in place.
    """
    notes = []
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    try:
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError as error:
        # A container masks parts of /proc, and the kernel then gives no user namespace a whole one.
        notes.append(f"/proc shows the processes of the machine: a new one cannot be mounted ({error.strerror})")
    if files:
        _with_scratch(files)
    if private_tmp:
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    return notes


def put(path: str, text: str) -> None:
    """Replace what a host sees at ``path``, whether or not it has a file of its own there yet."""
    if _is_mounted(path):
        Path(path).write_text(text)
    else:
        _with_scratch({path: text})


def _is_mounted(path: str) -> bool:
    try:
        return any(line.split()[4] == path for line in Path("/proc/self/mountinfo").read_text().splitlines())
    except OSError:
        return False


def _with_scratch(files: dict[str, str]) -> None:
    mount("tmpfs", _SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    try:
        for number, (path, text) in enumerate(files.items()):
            source = Path(_SCRATCH, str(number))
            source.write_text(text)
            if text.startswith("#!"):  # a program that only this host has
                source.chmod(0o755)
            target = Path(path).resolve() if Path(path).is_symlink() else Path(path)
            if not target.exists():
                _make_room(target, Path(_SCRATCH, f"{number}.d"))
            mount(str(source), str(target), None, MS_BIND)
    finally:
        umount(_SCRATCH)


def _make_room(target: Path, shadow: Path) -> None:
    """Put a copy of the nearest existing directory above ``target`` over it, in which ``target`` exists, empty."""
    top = target.parent
    while not top.exists():
        top = top.parent
    if top == Path("/"):
        raise OSError(2, "only files below an existing directory can be added", str(target))
    shadow.mkdir()
    mount("tmpfs", str(shadow), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for entry in os.scandir(top):
        copy = shadow / entry.name
        if entry.is_symlink():
            copy.symlink_to(Path(entry.path).readlink())
            continue
        if entry.is_dir():
            copy.mkdir()
        else:
            copy.touch()
        try:
            mount(entry.path, str(copy), None, MS_BIND | MS_REC)
        except OSError:
            if entry.is_file():
                shutil.copyfile(entry.path, copy)
    inner = shadow / target.relative_to(top)
    inner.parent.mkdir(parents=True, exist_ok=True)
    inner.touch()
    mount(str(shadow), str(top), None, MS_BIND | MS_REC)
    umount(str(shadow))
