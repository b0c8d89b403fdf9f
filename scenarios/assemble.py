"""Give a document its meaning: every name in it must exist, every text must be readable, every default is filled in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import cast

from canet.netns.topology import Topology
from canet.scenarios import network, steps
from canet.scenarios.document import (
    ClientTable,
    Document,
    ExpectTable,
    ProbeTable,
    Scalar,
    ServerTable,
    VariantTable,
    WhenTable,
)
from canet.scenarios.errors import MistakeError, unknown
from canet.scenarios.model import WITNESS, Client, Expectation, Outcome, Probe, Scenario, Server, Step, Value
from canet.scenarios.series import series


def scenario(document: Document, id: str, name: str, file: str, variant: VariantTable | None = None) -> Scenario:  # noqa: A002
    """Return one variant of a scenario.

    Args:
        document: the tables, with the variant's changes made.
        id: ``theme/name``.
        name: the variant's name.
        file: the path that the scenario remembers.
        variant: what the file says about the variant; ``None`` for the base.

    Raises:
        MistakeError: a name that does not exist or is used twice, or a text that cannot be read.
    """
    net = network.topology(document.segments, document.hosts)
    servers = tuple(_server(each, table, net) for each, table in document.servers.items())
    clients = tuple(_client(each, table, net) for each, table in document.clients.items())
    probes = tuple(_probe(each, table, net) for each, table in document.probes.items())
    names: dict[str, Collection[str]] = {
        "servers": document.servers,
        "clients": document.clients,
        "probes": document.probes,
    }
    _check_unique(names)
    plan = tuple(steps.read(index, table, names, net) for index, table in enumerate(document.steps))
    _check_pvs(servers, clients, probes)
    return Scenario(
        id=id,
        title=document.title,
        story=document.story.strip(),
        variant=name,
        variant_title=variant.title if variant else document.base_title,
        drawing=document.drawing.strip("\n"),
        references=tuple(document.references),
        tags=tuple(document.tags),
        speaks_about=tuple(
            variant.speaks_about if variant and variant.speaks_about is not None else document.speaks_about
        ),
        needs=tuple(dict.fromkeys((*document.needs, *(variant.needs if variant else ())))),
        topology=net,
        servers=servers,
        clients=clients,
        probes=probes,
        steps=plan,
        expectations=_expectations(document, plan, servers, clients),
        cause=variant.cause if variant else document.cause,
        source=file,
    )


def _server(name: str, table: ServerTable, net: Topology) -> Server:
    key = f"servers.{name}"
    _check_host(key, table.host, net)
    if (table.implementation == "command") != bool(table.command):
        raise MistakeError(
            f"{key}.command", "given" if table.command else "missing", "with implementation 'command' only"
        )
    if table.ready is not None:
        _regex(f"{key}.ready", table.ready)
    if WITNESS in table.pvs:
        raise MistakeError(f"{key}.pvs", repr(WITNESS), "a name that canet does not use itself")
    return Server(
        name=name,
        host=table.host,
        implementation=table.implementation,
        backend=table.backend,
        pvs={
            pv: _value(f"{key}.pvs.{names}", value)
            for names, value in table.pvs.items()
            for pv in _series(f"{key}.pvs", names)
        },
        env=_environment(f"{key}.env", table.env),
        layout=table.layout,
        reuse=table.reuse,
        uid=table.uid,
        command=tuple(table.command),
        cwd=table.cwd,
        ready=table.ready,
        autostart=table.autostart,
        options=dict(table.options),
    )


def _client(name: str, table: ClientTable, net: Topology) -> Client:
    key = f"clients.{name}"
    _check_host(key, table.host, net)
    if (table.implementation == "command") != bool(table.command):
        raise MistakeError(
            f"{key}.command", "given" if table.command else "missing", "with implementation 'command' only"
        )
    return Client(
        name=name,
        host=table.host,
        implementation=table.implementation,
        pvs=tuple(pv for names in table.pvs for pv in _series(f"{key}.pvs", names)),
        env=_environment(f"{key}.env", table.env),
        timeout=float(table.timeout),
        tries=table.tries,
        uid=table.uid,
        command=tuple(table.command),
        options=dict(table.options),
    )


def _probe(name: str, table: ProbeTable, net: Topology) -> Probe:
    key = f"probes.{name}"
    _check_host(key, table.host, net)
    devices = [*(each.name for each in net.host(table.host).interfaces), "lo"]
    if table.interface is not None and table.interface not in devices:
        raise unknown(f"{key}.interface", table.interface, devices, f"an interface of {table.host}")
    if table.payload is not None:
        steps.octets(f"{key}.payload", table.payload)
    return Probe(
        name=name,
        host=table.host,
        to=network.ip(f"{key}.to", table.to),
        port=table.port,
        pvs=tuple(pv for names in table.pvs for pv in _series(f"{key}.pvs", names)),
        sources=table.sources,
        repeat=table.repeat,
        level=table.level,
        interface=table.interface,
        source=None if table.source is None else network.ip(f"{key}.source", table.source),
        source_port=table.source_port,
        payload=table.payload,
        size=table.size,
        connect=table.connect,
    )


def _expectations(
    document: Document, plan: Iterable[Step], servers: Collection[Server], clients: Collection[Client]
) -> tuple[Expectation, ...]:
    labels = [str(each.args["label"]) for each in plan if "label" in each.args]
    subjects = [*document.probes, *document.clients, *document.servers, *labels]
    members = {
        "received": [each.name for each in servers],
        "answered": [each.name for each in servers],
        "connects": [each.name for each in servers],
        "reads": list(dict.fromkeys([pv for each in servers for pv in each.pvs] + [p for c in clients for p in c.pvs])),
    }
    found = []
    for subject, table in document.expect.items():
        if subject not in subjects:
            raise unknown(f"expect.{subject}", subject, subjects, "a probe, client, server or step label of this file")
        found.append(_expectation(f"expect.{subject}", subject, table, (), members))
        for implementation, special in table.when.items():
            merged = _merge(table, special)
            key = f"expect.{subject}.when.{implementation}"
            found.append(_expectation(key, subject, merged, (implementation,), members))
    return tuple(found)


def _merge(general: ExpectTable, special: WhenTable) -> WhenTable:
    """Return the general expectation with what a special one says instead."""
    values = {field: getattr(general, field) for field in WhenTable.__struct_fields__}
    blank = WhenTable()
    for field in WhenTable.__struct_fields__:
        value = getattr(special, field)
        if value != getattr(blank, field):
            values[field] = {**values[field], **value} if field == "measures" else value
    return WhenTable(**values)


def _expectation(
    key: str, subject: str, table: WhenTable, when: tuple[str, ...], members: Mapping[str, Collection[str]]
) -> Expectation:
    outcomes = {
        name: None if text is None else _outcome(f"{key}.{name}", text, known)
        for name, known in members.items()
        for text in [cast("str | None", getattr(table, name))]
    }
    if table.says is not None:
        _regex(f"{key}.says", table.says)
    return Expectation(
        subject=subject,
        received=outcomes["received"],
        answered=outcomes["answered"],
        connects=outcomes["connects"],
        reply_from=_endpoints(f"{key}.reply_from", table.reply_from),
        replies=table.replies,
        reads=outcomes["reads"],
        says=table.says,
        silent=table.silent,
        searches_to=_endpoints(f"{key}.searches_to", table.searches_to),
        extra=dict(table.measures),
        when=when,
        because=table.because,
    )


def _outcome(key: str, text: str, known: Collection[str]) -> Outcome:
    try:
        outcome = Outcome.parse(text)
    except ValueError:
        allowed = "'all of A, B', 'one of A, B', 'one of A, B, spread', 'some of A, B', 'only A' or 'none'"
        raise MistakeError(key, repr(text), allowed) from None
    for member in outcome.members:
        if member not in known:
            raise unknown(key, member, known, "a PV of this file" if key.endswith("reads") else "a server of this file")
    return outcome


def _series(key: str, name: str) -> tuple[str, ...]:
    """Return the names that a name stands for."""
    try:
        return series(name)
    except ValueError as error:
        raise MistakeError(key, repr(name), f"a name, or a series such as bulk:{{000..199}}: {error}") from None


def _endpoints(key: str, texts: list[str] | None) -> tuple[str, ...] | None:
    if texts is None:
        return None
    for index, text in enumerate(texts):
        address, colon, port = text.partition(":")
        network.ip(f"{key}[{index}]", address)
        if colon:
            network.ports(f"{key}[{index}]", port)
    return tuple(texts)


def _regex(key: str, text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise MistakeError(key, f"{text!r} ({error})", "a regular expression") from None


def _environment(key: str, table: Mapping[str, Scalar]) -> dict[str, str]:
    for name, value in table.items():
        if not name or "=" in name or "\0" in name or "\0" in str(value):
            raise MistakeError(
                f"{key}.{name}", "no possible variable", "a name without '=' and text without zero bytes"
            )
    return {name: str(value) for name, value in table.items()}


def _value(key: str, value: Scalar | list[Scalar]) -> Value:
    if not isinstance(value, list):
        return value
    if not value:
        raise MistakeError(key, "an empty list", "at least one element")
    if all(isinstance(each, str) for each in value):
        return tuple(str(each) for each in value)
    if any(isinstance(each, str) for each in value):
        raise MistakeError(key, "a list of text and numbers", "a list of one kind")
    if all(isinstance(each, int) for each in value):
        return tuple(int(each) for each in value)
    return tuple(float(each) for each in value)


def _check_host(key: str, host: str, net: Topology) -> None:
    hosts = [each.name for each in net.hosts]
    if host not in hosts:
        raise unknown(f"{key}.host", host, hosts, "a host of this file")


def _check_unique(names: Mapping[str, Collection[str]]) -> None:
    seen: dict[str, str] = {}
    for table, entries in names.items():
        for name in entries:
            if name in seen:
                raise MistakeError(f"{table}.{name}", f"a name that {seen[name]} has too", "a name of its own")
            seen[name] = table


def _check_pvs(servers: Iterable[Server], clients: Iterable[Client], probes: Iterable[Probe]) -> None:
    """A PV that nobody serves may be asked for on purpose, but a near miss of one that exists is a mistake."""
    served = [pv for each in servers for pv in each.pvs]
    for table, entries in (("clients", clients), ("probes", probes)):
        for each in entries:
            for pv in each.pvs:
                if not pv or "\0" in pv:
                    raise MistakeError(f"{table}.{each.name}.pvs", repr(pv), "the name of a PV")
                base = pv.split(".")[0].split("{")[0]
                if served and base.lower() in {one.lower() for one in served} and base not in served:
                    raise unknown(f"{table}.{each.name}.pvs", pv, served, "a PV of this file")
