"""Settings below ``/proc/sys/net`` of the namespace that the calling thread is in, and the values hosts start from."""

from __future__ import annotations

import os
from typing import Final

from canet.netns.errors import NetworkError

_CONF: Final = {
    "rp_filter": "0",
    "bc_forwarding": "0",
    "accept_local": "0",
    "route_localnet": "0",
    "forwarding": "0",
    "arp_filter": "0",
    "arp_ignore": "0",
    "arp_announce": "0",
    "proxy_arp": "0",
    "accept_redirects": "1",
    "send_redirects": "1",
    "promote_secondaries": "1",
    "drop_unicast_in_l2_multicast": "0",
    "force_igmp_version": "0",
}

DEFAULTS: Final = {
    "net.bridge.bridge-nf-call-iptables": "0",
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv4.ip_forward": "0",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    **{f"net.ipv4.conf.{scope}.{name}": value for scope in ("all", "default") for name, value in _CONF.items()},
}
"""What a host has before its own settings: a new namespace copies IPv4 settings from the machine
(ip-sysctl.rst, devconf_inherit_init_net), and results must not depend on the machine."""


def path_of(key: str) -> str:
    """Return the file of a setting; dots separate unless the key is written with slashes (sysctl(8))."""
    return "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))


def read(key: str) -> str | None:
    """Return a setting of the calling thread's namespace; ``None`` if this kernel has none of that name."""
    try:
        fd = os.open(path_of(key), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def write(key: str, value: str) -> None:
    """Change a setting of the calling thread's namespace.

    Raises:
        NetworkError: if this kernel has no such setting, or refuses the value.
    """
    try:
        fd = os.open(path_of(key), os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetworkError(
            f"sysctl {key}: {error.strerror}; is it written correctly, and does this kernel have it?"
        ) from error
    try:
        os.write(fd, value.encode() + b"\n")
    except OSError as error:
        raise NetworkError(f"sysctl {key}: the kernel refuses {value!r} ({error.strerror})") from error
    finally:
        os.close(fd)


def deviating() -> dict[str, str]:
    """Return the defaults that the calling thread's new namespace does not have by itself."""
    found = {}
    for key, value in DEFAULTS.items():
        current = read(key)
        if current is not None and current != value:
            found[key] = value
    return found
