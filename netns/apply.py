"""Make the kernel do the steps of a plan: namespaces, rtnetlink in batches, sysctls, offloads, rules, readiness."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from canet.netns import rtnetlink, sysctl
from canet.netns.errors import NetworkError, Unavailable
from canet.netns.namespace import new_namespace
from canet.netns.netlink import NETLINK_NETFILTER, Message, Netlink
from canet.netns.plan import (
    WIRE,
    AddAddress,
    AddRoute,
    MakeBridge,
    MakeCable,
    MakeMacvlan,
    MakeNamespace,
    SetLink,
    SetOffload,
    SetPort,
    SetRules,
    SetSysctl,
    Step,
)
from canet.netns.syscalls import CLONE_NEWNET, setns

_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_STXCSUM: Final = 0x17
_RTMGRP_LINK: Final = 1
_Test = Callable[[Any], bool]


class Realm:
    """The namespaces of one network. All methods belong to one thread, which hops from namespace to namespace."""

    def __init__(self) -> None:
        self.namespaces: dict[str, int] = {}
        """Name → descriptor that holds the namespace."""
        self._here: str | None = None
        self._defaults: dict[str, str] | None = None
        self._route: dict[str, Netlink] = {}

    def close(self) -> None:
        """Let go of all namespaces; the kernel drops them when their last socket and process is gone."""
        self.settle()
        for fd in self.namespaces.values():
            os.close(fd)
        self.namespaces.clear()

    def settle(self) -> None:
        """Close the sockets that building needed."""
        for each in self._route.values():
            each.close()
        self._route.clear()

    def enter(self, name: str) -> None:
        """Move the calling thread into a namespace of this network."""
        if self._here != name:
            setns(self.namespaces[name], CLONE_NEWNET)
            self._here = name

    def open_socket(self, name: str, family: int, kind: int, protocol: int) -> socket.socket:
        """Open a socket in a namespace of this network; it stays there."""
        self.enter(name)
        return socket.socket(family, kind, protocol)

    def route(self, name: str) -> Netlink:
        """Return an rtnetlink socket in a namespace; it is kept until :meth:`settle`."""
        found = self._route.get(name)
        if found is None:
            self.enter(name)
            found = self._route[name] = Netlink()
        return found

    def apply(self, steps: Iterable[Step]) -> None:
        """Do the steps in order; those for rtnetlink that follow each other in one namespace go as one batch.

        Raises:
            NetworkError: with everything that the kernel refused of the batch that failed.
        """
        for (name, is_message), group in groupby(steps, key=lambda step: (_place(step), isinstance(step, _MESSAGES))):
            if is_message:
                self.request(name, [self._message(step) for step in group])
            else:
                for step in group:
                    self._do(step)

    def request(self, name: str, messages: Sequence[Message]) -> None:
        """Send rtnetlink messages to a namespace.

        Raises:
            Unavailable: the kernel does not know what is asked for.
            NetworkError: with everything that was refused.
        """
        refused = self.route(name).request(messages)
        if any(each.errno == errno.EOPNOTSUPP for each in refused):
            raise Unavailable("; ".join(map(str, refused)), "this kernel lacks a module; `canet doctor` names it")
        if refused:
            raise NetworkError("; ".join(map(str, refused)))

    def _message(self, step: Step) -> Message:
        match step:
            case MakeBridge():
                return rtnetlink.make_bridge(step)
            case MakeCable():
                return rtnetlink.make_cable(step, self.namespaces[step.far_namespace])
            case MakeMacvlan():
                return rtnetlink.make_macvlan(step, self.namespaces[step.namespace])
            case SetLink():
                return rtnetlink.set_link(step)
            case SetPort():
                return rtnetlink.set_port(step)
            case AddAddress():
                return rtnetlink.add_address(step)
            case AddRoute():
                return rtnetlink.add_route(step)
        raise NetworkError(f"no rtnetlink message does {step}")

    def _do(self, step: Step) -> None:
        match step:
            case MakeNamespace():
                self._make_namespace(step.namespace)
            case SetOffload():
                self.enter(step.namespace)
                checksum_when_sent(step.name)
            case SetSysctl():
                self.enter(step.namespace)
                sysctl.write(step.key, step.value)
            case SetRules():
                self.set_rules(step)

    def _make_namespace(self, name: str) -> None:
        self.namespaces[name] = new_namespace()
        self._here = name
        if self._defaults is None:
            self._defaults = sysctl.deviating()
        for key, value in self._defaults.items():
            sysctl.write(key, value)

    def set_rules(self, step: SetRules) -> None:
        """Replace the firewall rules of a host.

        Raises:
            NetworkError: with the rule that the kernel refused.
        """
        from canet.netns import nft

        self.enter(step.namespace)
        with Netlink(NETLINK_NETFILTER) as channel:
            refused = channel.transaction(nft.replace_rules(step.rules, step.policies))
        if refused:
            raise NetworkError(f"firewall of host {step.namespace}: " + "; ".join(map(str, refused)))

    def await_ports(self, ports: Mapping[int, str], deadline: float) -> None:
        """Return when all these bridge ports are up and forward frames.

        Args:
            ports: index of a port → whose it is, for the error.
            deadline: on the clock of ``time.monotonic``.

        Raises:
            NetworkError: when the deadline passes, with the ports that do not forward.
        """
        self._await(WIRE, rtnetlink.port_states_request(), rtnetlink.port_is_forwarding, ports, deadline)

    def await_links(self, name: str, links: Mapping[int, str], deadline: float) -> None:
        """Return when all these interfaces of a namespace have a carrier and may send; else as above."""
        self._await(name, rtnetlink.links_request(), rtnetlink.link_is_up, links, deadline)

    def _await(self, name: str, request: Message, ready: _Test, wanted: Mapping[int, str], deadline: float) -> None:
        channel = self.route(name)
        missing = _unready(channel.dump(request), ready, wanted)
        if not missing:
            return
        self.enter(name)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as monitor:
            monitor.bind((0, _RTMGRP_LINK))
            monitor.setblocking(False)
            poll = select.poll()
            poll.register(monitor, select.POLLIN)
            while missing := _unready(channel.dump(request), ready, missing):
                if time.monotonic() > deadline:
                    words = ", ".join(missing.values())
                    raise NetworkError(f"{words}: no frames are carried yet; is the machine very busy?")
                poll.poll(5)
                _drain(monitor)


def _drain(monitor: socket.socket) -> None:
    try:
        while True:
            monitor.recv(1 << 16)
    except BlockingIOError:
        return
    except OSError:
        return  # ENOBUFS: messages were lost, the next dump tells


def _unready(answers: Sequence[Any], ready: _Test, wanted: Mapping[int, str]) -> dict[int, str]:
    """Return those of ``wanted`` that are not ready; only they are looked at, as that costs most of a dump."""
    found = {answer["index"] for answer in answers if answer["index"] in wanted and ready(answer)}
    return {index: words for index, words in wanted.items() if index not in found}


_MESSAGES: Final = (MakeBridge, MakeCable, MakeMacvlan, SetLink, SetPort, AddAddress, AddRoute)


def _place(step: Step) -> str:
    """Return the namespace in which a step is done."""
    return step.parent_namespace if isinstance(step, MakeMacvlan) else step.namespace


def checksum_when_sent(interface: str) -> None:
    """Switch tx checksum offload of an interface of the calling thread's namespace off (ethtool ioctl).

    Segmentation offload falls with it, so that no frame is longer than the MTU. Interfaces that cannot are left.
    """
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(value)) + bytes(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
        except OSError:
            return
