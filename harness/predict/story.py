"""Tell predictions in words: a table line for each probe and client, and the story of one search, hop by hop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from canet.harness.predict.clients import Search, pv_prediction, search
from canet.harness.predict.exchange import Delivered
from canet.harness.predict.predict import stage
from canet.harness.predict.prediction import ClientPrediction, Prediction, ProbePrediction, PvPrediction
from canet.harness.predict.probes import predict_probe
from canet.harness.predict.replies import Response
from canet.harness.predict.servers import ServerState
from canet.harness.predict.stage import Stage, all_pvs, merged
from canet.harness.predict.trace import Reason, Trace, address, reason, reasons, steps
from canet.scenarios.model import Client, Outcome, Probe, Scenario

PLAIN = {
    "all": "all of them: {}",
    "one": "exactly one of {}, by the source port",
    "some": "some of {}, by luck",
    "none": "nobody",
}


def outcome_words(outcome: Outcome) -> str:
    """Say an outcome in words.

    >>> outcome_words(Outcome.parse("one of a, b, spread"))
    'exactly one of a, b, by the source port'
    """
    if outcome.kind == "all" and len(outcome.members) == 1:
        return outcome.members[0]
    if outcome.kind == "all":
        return ", ".join(outcome.members)
    return PLAIN[outcome.kind].format(", ".join(outcome.members))


def summary(prediction: Prediction) -> Iterator[str]:
    """Yield the lines of ``canet predict``."""
    for name, why in prediction.dead:
        yield f"server {name} does not serve: {why}"
    for probe in prediction.probes:
        yield from _probe_lines(probe)
    for client in prediction.clients:
        yield from _client_lines(client)
    for beacon in prediction.beacons:
        to = ", ".join(beacon.destinations) or "nowhere"
        heard = ", ".join(beacon.heard_on) or "nobody"
        yield f"beacons of {beacon.server}: sent to {to}; reach {heard}"


def _probe_lines(probe: ProbePrediction) -> Iterator[str]:
    yield f"probe {probe.name}"
    if probe.error is not None:
        yield f"  cannot be sent: {probe.error}"
    yield f"  received by   {outcome_words(probe.received)}"
    yield f"  answered by   {outcome_words(probe.answered)}"
    yield f"  connects to   {outcome_words(probe.connects)}"
    low, high = probe.replies
    if high:
        many = str(low) if low == high else f"{low} to {high}"
        yield f"  replies       {many} from {', '.join(probe.reply_from)}"
    if probe.unknown:
        yield f"  (not part of the model: {probe.unknown})"


def _client_lines(client: ClientPrediction) -> Iterator[str]:
    yield f"client {client.name}"
    to = "nowhere" if client.silent else ", ".join(client.searches_to)
    yield f"  searches      {to}"
    for each in client.refused:
        yield f"  refused       {each}"
    yield f"  reads         {outcome_words(client.reads)}"
    yield f"  connects to   {outcome_words(client.connects)}"
    for pv in client.pvs:
        if pv.verdict == "luck":
            yield f"  by luck       {pv.pv}: {_luck(pv)}"
    if client.unknown:
        yield f"  (not part of the model: {client.unknown})"


def _luck(pv: PvPrediction) -> str:
    if len(pv.servers) > 1:
        return f"it may come from {' or '.join(pv.servers)}"
    return f"only when the search happens to reach {pv.servers[0]}" if pv.servers else "never answered"


# --- the story of one search


def explain(scenario: Scenario, subject: str, client: str | None = None, pv: str | None = None) -> Iterator[str]:
    """Yield the story of a client's search for a PV (or of each client and PV), line by line.

    Raises:
        KeyError: no client is called that; the message lists those there are.
    """
    scene = stage(scenario, subject)
    yield from _servers(scene)
    clients = [each for each in scenario.clients if client in (None, each.name)]
    if client is not None and not clients:
        names = ", ".join(each.name for each in scenario.clients) or "none"
        raise KeyError(f"no client is called {client!r}; there are {names}")
    for each in clients:
        yield ""
        yield from _client_story(scene, each, [pv] if pv is not None else list(each.pvs or all_pvs(scenario.servers)))
    if not clients or client is None:
        for probe in scenario.probes if not scenario.clients else ():
            yield ""
            yield from _probe_story(scene, probe)


def _servers(scene: Stage) -> Iterator[str]:
    yield "The servers"
    for state in scene.servers.values():
        at = ", ".join(f"{address(each.address)}:{each.port}" for each in state.udp)
        kind = "" if state.implementation == "canet" else f" ({state.implementation})"
        if state.dead is not None:
            yield f"  {state.name}{kind} on {state.host.name} does not serve: {state.dead}."
            continue
        if not state.modelled:
            yield f"  {state.name}{kind} on {state.host.name}: the model does not know what it does."
            continue
        tcp = "no TCP port"
        if state.tcp:
            tcp = "a TCP port of its own" if state.tcp[0].ephemeral else f"TCP port {state.tcp[0].port}"
        pvs = ", ".join(state.server.pvs) or "no PV of its own"
        where = f"{state.name}{kind} on {state.host.name}"
        yield f"  {where} listens for searches on UDP {at or 'nothing'}, takes {tcp}, serves {pvs}."
        for note in state.notes:
            yield f"    {reasons(note)[-1]}"


def _client_story(scene: Stage, client: Client, pvs: Sequence[str]) -> Iterator[str]:
    wanted = ", ".join(pvs)
    yield f"{client.name} on {client.host} ({client.implementation}) looks for {wanted}"
    settings = [f"{key}={value!r}" for key, value in client.env.items() if key.startswith("EPICS_")]
    yield "  Its settings: " + (", ".join(settings) if settings else "none, so all have their defaults") + "."
    done = search(scene, client, pvs)
    for remark in done.searching.remarks:
        yield f"  {reasons(remark)[-1]}"
    for number, (destination, sent) in enumerate(done.sent, 1):
        yield f"  {number}. {reasons(destination.why)[-1]}"
        yield from _flight(scene.servers, sent, [each for to, each in done.found if to is destination], "     ")
    for destination in done.searching.name_servers:
        yield f"  · {reasons(destination.why)[-1]}"
    for pv in pvs:
        yield from _verdict(scene, client, done, pv)


def _probe_story(scene: Stage, probe: Probe) -> Iterator[str]:
    told = predict_probe(scene, probe)
    yield f"probe {probe.name} from {probe.host} to {probe.to}:{probe.port}"
    for each in told.reasons:
        yield f"  {each}"
    yield f"  So it is received by {outcome_words(told.received)} and answered by {outcome_words(told.answered)}."


SKIP = frozenset({"sends", "replies", "connects", "syn-ack", "list-explicit", "list-automatic", "list-own-address",
                  "list-peer", "list-loopback", "list-limited", "list-interfaces", "list-name-server"})  # fmt: skip
"""Steps that the story has said already."""


def _flight(
    servers: Mapping[str, ServerState], sent: Delivered, found: Sequence[Response], indent: str
) -> Iterator[str]:
    """Yield what becomes of one datagram: the common way once, then each end."""
    traces: list[Trace] = [each.trace for each in sent.deliveries]
    places = {each.host.name for each in servers.values()}
    ends = [(each.arrival.host.name, each.trace) for each in sent.unheard]
    ends += [(each.host.name, each.trace) for each in sent.drops]
    traces += [trace for place, trace in ends if place in places or not sent.deliveries]
    told: set[Reason] = set()
    for trace in traces:
        for each in _fresh(trace, told):
            yield indent + str(each)
    yield from _ignored(servers, sent, indent)
    for response in found:
        yield from _reply(response, indent, told)


def _ignored(servers: Mapping[str, ServerState], sent: Delivered, indent: str) -> Iterator[str]:
    """Yield who read the search and ignores it by its own settings."""
    for delivery in sent.deliveries:
        asker = delivery.arrival.packet.source
        for name in dict.fromkeys(each.owner for each in delivery.sockets):
            if name in servers and asker in servers[name].ignored:
                yield indent + str(reason("answer-ignored", name, address(asker)))


def _fresh(trace: Trace, told: set[Reason]) -> Iterator[Reason]:
    for (rule, _), each in zip(steps(trace), reasons(trace), strict=True):
        if rule in SKIP or each in told:
            continue
        told.add(each)
        yield each


def _reply(response: Response, indent: str, told: set[Reason]) -> Iterator[str]:
    reply = response.reply
    name = response.server.name
    if response.lucky:
        yield f"{indent}If it is {name} that gets it:"
        indent += "  "
    way = list(_fresh(reply.trace, set(told)))
    if response.server.implementation == "caproto" and len(response.server.udp) > 1:
        many = reason("reply-many", name, len(response.server.udp))
        if many not in told:
            told.add(many)
            yield f"{indent}{many}"
    if reply.arrived:
        own = any(each.ephemeral for each in response.server.tcp) and response.told[1] == response.server.port
        port = "my own TCP port" if own else f"TCP port {response.told[1]}"
        yield f"{indent}{name} answers from {address(reply.source)}: connect to me on {port}. The reply comes back."
        there = f"{address(response.told[0] or reply.source)} on that port" if own else response.announced
        tried = response.connecting
        if tried is None:
            return
        if response.reached == name:
            yield f"{indent}The connection to {there} reaches {name}."
        elif response.reached is not None:
            yield f"{indent}The connection to {there} reaches {response.reached}, not {name}."
        else:
            for each in _fresh(tried.trace, told):
                yield indent + str(each)
    else:
        yield f"{indent}{name} answers, but the reply is lost:"
        for each in way[-3:]:
            yield f"{indent}  {each}"


def _verdict(scene: Stage, client: Client, done: Search, pv: str) -> Iterator[str]:
    told = pv_prediction(scene, done, pv, why=False)
    if told.verdict == "always" and len(told.servers) == 1:
        yield f"  So {client.name} always finds {pv}, on {told.servers[0]}."
    elif told.verdict == "always":
        yield f"  {reason('chance-first', pv, ' or '.join(told.servers))}"
        yield f"  So {client.name} always finds {pv}, but whose is chance."
    elif told.verdict == "luck":
        ways = {each.server for each in told.ways if each.lucky}
        yield (
            f"  So {client.name} finds {pv} by luck: either {' or '.join(sorted(ways))} is asked or another server. It "
            "stays so as long as the client keeps its socket; a new run of the client may go otherwise."
        )
    else:
        yield f"  So {client.name} never finds {pv}."


__all__ = ["explain", "merged", "outcome_words", "summary"]
