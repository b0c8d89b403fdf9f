"""A host's own view of the file system: its /proc, and files such as /etc/hosts that only it sees.

Runs in a new mount namespace. The contents live in a tmpfs without a place in the tree: it is mounted for a
moment, its files are bound over their targets, and it is let go. Nothing is written to the machine's disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from canet.netns.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount, umount

_SCRATCHES = ("/tmp", "/mnt", "/var/tmp", "/run")
"""One of these is covered for a moment, before anything else runs in the namespace: one without a target below."""


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
    if private_tmp:
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if files:
        _with_scratch(files)
    return notes


def put(path: str, text: str) -> None:
    """Replace what a host sees at ``path``, whether or not it has a file of its own there yet."""
    if _is_mounted(path):
        Path(path).write_text(text)
    else:
        _with_scratch({path: text})


def _is_mounted(path: str) -> bool:
    try:
        target = str(Path(path).resolve())
        return any(line.split()[4] == target for line in Path("/proc/self/mountinfo").read_text().splitlines())
    except OSError:
        return False


def _with_scratch(files: dict[str, str]) -> None:
    targets = {Path(path).resolve(): text for path, text in files.items()}
    scratch = _scratch(targets)
    mount("tmpfs", str(scratch), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    try:
        for number, (target, text) in enumerate(targets.items()):
            source = scratch / str(number)
            source.write_text(text)
            if text.startswith("#!"):  # a program that only this host has
                source.chmod(0o755)
            if not target.exists():
                _make_room(target, scratch / f"{number}.d")
            mount(str(source), str(target), None, MS_BIND)
    finally:
        umount(str(scratch))


def _scratch(targets: Iterable[Path]) -> Path:
    """Return a directory that may be covered while the targets are put in place."""
    for name in _SCRATCHES:
        directory = Path(name).resolve()
        if directory.is_dir() and not any(target.is_relative_to(directory) for target in targets):
            return directory
    raise OSError(2, f"files of one host are below all of {', '.join(_SCRATCHES)}", "files")


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
