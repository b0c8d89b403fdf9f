"""What this machine and user offer for networks of namespaces, found by trying, with what to do where it is missing.

Each probe runs in a short-lived process of its own that enters namespaces as a network would, so that asking changes
nothing here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing that networks can use."""

    name: str
    works: bool
    needed: bool
    """Without it no network can be built."""
    purpose: str
    detail: str = ""
    """Why it does not work, in the kernel's words."""
    remedy: str = ""
    """What to do, where it does not."""


_ROOT_ONLY: Final = "run as root: an ordinary user's namespace holds one user id"
_MODULE: Final = "use a kernel with {} (as root: modprobe {})"

PURPOSES: Final[dict[str, tuple[bool, str, str]]] = {
    "namespaces": (True, "build networks at all", "run as root, or allow user namespaces"),
    "root": (False, "several user ids, large receive buffers", _ROOT_ONLY),
    "pid-namespaces": (True, "a host's processes end with it", "allow CLONE_NEWPID (container settings)"),
    "mount-proc": (False, "/proc shows a host's own processes only", "run outside of a container, or unmask its /proc"),
    "mount-files": (False, "hosts with their own /etc/hosts", "allow mounts (container settings)"),
    "veth": (True, "cables", _MODULE.format("CONFIG_VETH", "veth")),
    "bridge": (True, "segments", _MODULE.format("CONFIG_BRIDGE", "bridge")),
    "macvlan": (False, "interfaces on a parent", _MODULE.format("CONFIG_MACVLAN", "macvlan")),
    "packet-sockets": (True, "captures and frames at link level", _MODULE.format("CONFIG_PACKET", "af_packet")),
    "nftables": (False, "firewall rules", _MODULE.format("CONFIG_NF_TABLES", "nf_tables")),
    "nftables-nat": (False, "address translation", _MODULE.format("CONFIG_NFT_NAT", "nft_nat")),
    "nftables-netdev": (False, "loss and cuts without a relay", _MODULE.format("CONFIG_NF_TABLES_NETDEV", "nf_tables")),
    "netem": (
        False,
        "delay, duplicates and rates without a relay",
        _MODULE.format("CONFIG_NET_SCH_NETEM", "sch_netem"),
    ),
    "user-ids": (False, "servers of different users on one host", _ROOT_ONLY),
}
"""Feature → needed, purpose, remedy; in the order in which they are shown."""


def features() -> tuple[Feature, ...]:
    """Return what works here, in the order of :data:`PURPOSES`; takes about a tenth of a second."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from canet.netns.features import probe; probe()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    try:
        found: dict[str, str] = json.loads(run.stdout)
    except ValueError:
        found = {"namespaces": run.stderr.strip().rpartition("\n")[2] or f"the probe ended with {run.returncode}"}
    return tuple(_feature(name, found) for name in PURPOSES)


def _feature(name: str, found: dict[str, str]) -> Feature:
    needed, purpose, remedy = PURPOSES[name]
    error = found.get(name, found.get("namespaces") or "it was not tried")
    works = error == ""
    remedy = "" if works else found.get("remedy") or remedy
    return Feature(name=name, works=works, needed=needed, purpose=purpose, detail=error, remedy=remedy)


def probe() -> None:
    """Try everything and print feature → error as JSON; the error of what works is empty."""
    from canet.netns.enter import enter
    from canet.netns.errors import NetworkError, Unavailable

    found: dict[str, str] = {}
    is_root = os.geteuid() == 0
    try:
        enter()
    except Unavailable as error:
        print(json.dumps({"namespaces": error.reason, "remedy": error.remedy}))
        return
    with open("/proc/self/uid_map") as mapping:  # noqa: PTH123 - a proc file
        ids = int(mapping.readline().split()[2])
    found["root"] = "" if is_root and ids > 1 else "an ordinary user"
    found["user-ids"] = "" if ids > 1 else "only one user id is mapped"
    for name, trial in _TRIALS.items():
        try:
            trial()
            found[name] = ""
        except (OSError, NetworkError) as error:
            found[name] = str(error)
            if name == "namespaces":
                break
    print(json.dumps(found))


def _namespaces() -> None:
    from canet.netns.namespace import new_namespace

    os.close(new_namespace())


def _in_child(action: Callable[[], object]) -> None:
    """Run an action in a fork and raise the error that it had."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        text = ""
        try:
            action()
        except OSError as error:
            text = error.strerror or str(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    if text:
        raise OSError(text)


def _pid_namespaces() -> None:
    from canet.netns.syscalls import CLONE_NEWPID, unshare

    def inner() -> None:
        unshare(CLONE_NEWPID)
        os.waitpid(_forked(lambda: None), 0)

    _in_child(inner)


def _forked(action: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except OSError:
            os._exit(1)
    return pid


def _mount_proc() -> None:
    from canet.netns.syscalls import CLONE_NEWNS, CLONE_NEWPID, MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, unshare

    def inner() -> None:
        unshare(CLONE_NEWPID | CLONE_NEWNS)
        pid = _forked(lambda: mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC))
        if os.waitpid(pid, 0)[1]:
            raise PermissionError(1, "a new /proc cannot be mounted")

    _in_child(inner)


def _mount_files() -> None:
    from canet.netns.hostfiles import prepare
    from canet.netns.syscalls import CLONE_NEWNS, unshare

    def inner() -> None:
        unshare(CLONE_NEWNS)
        prepare({"/etc/hosts": "127.0.0.1 localhost\n"})

    _in_child(inner)


def _link(kind: str) -> None:
    from canet.netns import rtnetlink
    from canet.netns.errors import NetworkError
    from canet.netns.netlink import Netlink
    from canet.netns.plan import MakeBridge, MakeMacvlan

    with open("/proc/thread-self/ns/net") as namespace, Netlink() as channel:  # noqa: PTH123 - held while it is used
        message = {
            "veth": rtnetlink.make_pair(50, "v50", 51, "v51"),
            "bridge": rtnetlink.make_bridge(
                MakeBridge(namespace="", name="b52", index=52, mac="06:ca:00:00:00:01", mtu=1500)
            ),
            "macvlan": rtnetlink.make_macvlan(
                MakeMacvlan(
                    namespace="",
                    name="m53",
                    index=53,
                    mac="02:ca:00:00:00:01",
                    mtu=1500,
                    parent_namespace="",
                    parent=50,
                ),
                namespace.fileno(),
            ),
        }[kind]
        refused = channel.request([message])
    if refused:
        raise NetworkError(str(refused[0]))


def _packet_sockets() -> None:
    import socket

    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)).close()


def _rules(kind: str) -> None:
    from ipaddress import IPv4Address

    from canet.netns import nft
    from canet.netns.errors import NetworkError
    from canet.netns.netlink import NETLINK_NETFILTER, Netlink
    from canet.netns.topology import Rule

    messages = {
        "filter": lambda: nft.replace_rules((Rule(hook="input", verdict="accept"),), ()),
        "nat": lambda: nft.replace_rules((Rule(hook="prerouting", dnat=IPv4Address("10.0.0.1")),), ()),
        "netdev": lambda: nft.drop_at("v50", "egress", 0.5),
    }[kind]()
    with Netlink(NETLINK_NETFILTER) as channel:
        refused = channel.transaction(messages)
    if refused:
        raise NetworkError(str(refused[0]))


def _netem() -> None:
    from canet.netns.errors import NetworkError
    from canet.netns.netem import hurt
    from canet.netns.netlink import Netlink
    from canet.netns.topology import Impairment

    with Netlink() as channel:
        refused = channel.request([hurt(50, Impairment(delay=0.001))])
    if refused:
        raise NetworkError(str(refused[0]))


_TRIALS: Final[dict[str, Callable[[], None]]] = {
    "pid-namespaces": _pid_namespaces,
    "mount-proc": _mount_proc,
    "mount-files": _mount_files,
    "namespaces": _namespaces,
    "veth": lambda: _link("veth"),
    "bridge": lambda: _link("bridge"),
    "macvlan": lambda: _link("macvlan"),
    "packet-sockets": _packet_sockets,
    "nftables": lambda: _rules("filter"),
    "nftables-nat": lambda: _rules("nat"),
    "nftables-netdev": lambda: _rules("netdev"),
    "netem": _netem,
}
"""In the order in which they are tried: what follows ``namespaces`` happens in a network namespace of its own."""
