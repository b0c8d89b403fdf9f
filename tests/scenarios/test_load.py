"""Reading scenario files: defaults, variants, and one sentence for each mistake."""

from __future__ import annotations

import copy
import tomllib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.commands.new import template
from canet.scenarios.errors import ScenarioError
from canet.scenarios.load import identity, load, load_document, load_text
from canet.scenarios.model import Outcome, Scenario

PLAIN: dict[str, Any] = {
    "title": "t",
    "segments": {"lan": {}},
    "hosts": {
        "client": {"interfaces": {"eth0": {"segment": "lan", "addresses": ["10.1.0.1/24"]}}},
        "ioc": {
            "interfaces": {
                "eth0": {"segment": "lan", "addresses": ["10.1.0.2/24 brd none", "10.9.0.1/32 peer 10.9.0.2"]}
            },
            "routes": [{"to": "default", "via": "10.1.0.1"}],
            "rules": [{"hook": "prerouting", "proto": "udp", "dport": "5064-5065", "dnat": "10.1.0.255:5064"}],
            "policies": {"input": "drop"},
            "sysctls": {"net.ipv4.ip_forward": 1},
            "files": {"/etc/hosts": "10.1.0.1 client"},
        },
    },
    "servers": {
        "a": {"host": "ioc", "pvs": {"x": 1, "y": [1, 2.5], "z": ["p", "q"]}, "env": {"EPICS_CAS_SERVER_PORT": 5064}}
    },
    "clients": {"c": {"host": "client"}},
    "probes": {"p": {"host": "client", "to": "10.1.0.255"}},
    "steps": [
        {"do": "probe", "target": "p"},
        {"do": "fault", "host": "ioc", "interface": "eth0", "set": "down", "label": "cable"},
        {"do": "restart", "target": "a"},
        {"do": "client", "target": "c"},
    ],
    "expect": {
        "p": {"answered": "only a", "reply_from": ["10.1.0.2:5064"], "when": {"rsrv": {"answered": "none"}}},
        "cable": {"measures": {"alive": True}},
    },
    "variants": {"v": {"title": "other", "set": {"probes.p.to": "10.1.0.2"}, "expect": {"p": {"answered": "none"}}}},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the plain document with one value put at a dotted path (list items by number)."""
    document: Any = copy.deepcopy(PLAIN)
    here, keys = document, path.split("/")
    for key in keys[:-1]:
        here = here[int(key)] if isinstance(here, list) else here[key]
    if isinstance(here, list):
        here[int(keys[-1])] = value
    else:
        here[keys[-1]] = value
    return document  # type: ignore[no-any-return]  # a document is a dict


def test_everything_that_a_file_says_arrives() -> None:
    """Each table becomes the value of the model, with texts read."""
    base, variant = load_document(PLAIN, "theme/name.toml")
    assert (base.variant, variant.variant, base.key) == ("broken", "v", "theme/name[broken]")
    ioc = base.topology.host("ioc")
    assert ioc.interface("eth0").addresses[0].broadcast is None
    assert ioc.interface("eth0").addresses[1].peer == IPv4Address("10.9.0.2")
    assert str(ioc.routes[0].to) == "0.0.0.0/0"
    assert (ioc.rules[0].dport, str(ioc.rules[0].dnat), ioc.rules[0].dnat_port) == ((5064, 5065), "10.1.0.255", 5064)
    assert ioc.sysctls == (("net.ipv4.ip_forward", "1"),)
    assert base.servers[0].pvs == {"x": 1, "y": (1.0, 2.5), "z": ("p", "q")}
    assert base.servers[0].env == {"EPICS_CAS_SERVER_PORT": "5064"}
    assert [each.do for each in base.steps] == ["probe", "fault", "restart", "client"]
    assert variant.probes[0].to == IPv4Address("10.1.0.2")
    assert [each.answered for each in variant.expectations if each.subject == "p"] == [Outcome("none")]


def test_the_expectation_for_an_implementation_replaces_the_general_one() -> None:
    """What an implementation does differently is merged with what it does alike."""
    base = load_document(PLAIN, "t.toml")[0]
    general, special = base.expected("trio")[0], base.expected("rsrv")[0]
    assert general.answered == Outcome("all", ("a",))
    assert special.answered == Outcome("none")
    assert special.reply_from == general.reply_from == ("10.1.0.2:5064",)
    assert [each.subject for each in base.expected("rsrv")] == ["p", "cable"]


def test_a_variant_can_be_changed_from_outside() -> None:
    """``set`` and ``unset`` act on every variant, after its own changes."""
    found = load_text(template(), set={"clients.libca.tries": 7}, unset=["probes.unicast.sources"])
    assert {each.clients[0].tries for each in found} == {7}
    assert {each.probes[0].sources for each in found} == {1}


def test_the_id_comes_from_the_place(tmp_path: Path) -> None:
    """Folder and file name make the id, and both endings are cut."""
    file = tmp_path / "site" / "one.canet.toml"
    file.parent.mkdir()
    file.write_text(template())
    assert {each.id for each in load(file)} == {"site/one"} == {identity("site/one.toml")}


MISTAKES = [
    ("hosts/ioc/interfces", {}, "hosts.ioc.interfces is 'interfces'", "did you mean 'interfaces'?"),
    ("servers/a/host", "ico", "servers.a.host is 'ico'", "did you mean 'ioc'?"),
    ("servers/a/reuse", "adr", "servers.a.reuse is 'adr'", "did you mean 'addr'?"),
    ("servers/a/pvs", 3, "servers.a.pvs is 3", "a table"),
    ("servers/a/command", ["x"], "servers.a.command is given", "implementation 'command' only"),
    ("hosts/ioc/interfaces/eth0/segment", "lam", "'lam'", "did you mean 'lan'?"),
    ("hosts/ioc/interfaces/eth0/addresses/0", "10.1.0.300/24", "'10.1.0.300/24'", "ADDRESS/PREFIX"),
    ("hosts/ioc/interfaces/eth0/addresses/0", "", "''", "ADDRESS/PREFIX"),
    ("hosts/ioc/interfaces/eth0/link", "client.eth0", "segment and link", "one of segment, link, parent"),
    ("hosts/ioc/routes/0/to", "10.1.0.1/24", "an address inside a network", "did you mean '10.1.0.0/24'?"),
    ("hosts/ioc/routes/0", {"to": "default"}, "a route without a way", "via"),
    ("hosts/ioc/rules/0/verdict", "drop", "verdict and dnat", "one of verdict"),
    ("hosts/ioc/rules/0/hook", "input", "'input'", "prerouting, output"),
    ("hosts/ioc/rules/0/dport", 70000, "'70000'", "a port (1 to 65535)"),
    ("hosts/ioc/policies/forward", "reject", "'reject'", "accept, drop"),
    ("probes/p/to", "10.1.0", "probes.p.to is '10.1.0'", "an IPv4 address"),
    ("probes/p/port", 0, "probes.p.port is 0", ">= 1"),
    ("probes/p/pvs", ["X"], "'X'", "did you mean 'x'?"),
    ("probes/a", {"host": "ioc", "to": "10.1.0.2"}, "a name that servers has too", "a name of its own"),
    ("steps/0/target", "q", "steps[0].target is 'q'", "a name in probes (p)"),
    ("steps/1/interface", "eth1", "steps[1].interface is 'eth1'", "did you mean 'eth0'?"),
    ("steps/2/host", "ioc", "steps[2].host", "a key of restart"),
    ("expect/x", {}, "expect.x is 'x'", "a probe, client, server or step label"),
    ("expect/p/answered", "each of a", "'each of a'", "'all of A, B'"),
    ("expect/p/answered", "only b", "'b'", "a server of this file (a)"),
    ("expect/p/when/rsrv/answered", "all a", "expect.p.when.rsrv.answered is 'all a'", "'all of A, B'"),
    ("expect/p/says", "(", "'('", "a regular expression"),
    ("variants/v/set", {"hosts.ioc.rules": 4}, "variants.v → hosts.ioc.rules is 4", "a list"),
    ("variants/v/unset", ["probes.q"], "variants.v → probes.q is 'q'", "what is there (p)"),
    ("title", "", "title is ''", "length"),
]


@pytest.mark.parametrize(("path", "value", "found", "allowed"), MISTAKES, ids=[f"{m[0]}={m[1]}" for m in MISTAKES])
def test_a_mistake_is_one_sentence(path: str, value: object, found: str, allowed: str) -> None:
    """File, key, what was found and what is allowed, in one line."""
    with pytest.raises(ScenarioError) as caught:
        load_document(changed(path, value), "my.toml")
    text = str(caught.value)
    assert text.startswith("my.toml: ")
    assert found in text
    assert allowed in text
    assert "\n" not in text


def test_a_missing_key_is_named() -> None:
    """What is required and not there is said with its meaning."""
    with pytest.raises(ScenarioError, match=r"probes\.p\.to is missing; allowed is destination address\."):
        load_document(changed("probes/p", {"host": "client"}), "my.toml")


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"title = ", "not TOML"), (b"title = '\xff'", "not UTF-8"), (b"a=" + b"[" * 2000, "not TOML")],
)
def test_what_is_no_toml_is_said(tmp_path: Path, content: bytes, found: str) -> None:
    """A file that TOML cannot read is a mistake as any other."""
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ScenarioError, match=f"x.toml is {found}|nested too deeply"):
        load(tmp_path / "x.toml")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """So is one that is not there, and a folder."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ScenarioError, match="not readable"):
            load(path)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    found = [path] if path else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in entries:
        found += places(part, (*path, key))
    return found


DOCUMENTS = [PLAIN, tomllib.loads(template().partition("\n")[2])]
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["10.1.0.1/24", "10.1.0.1 brd", "lan", "ioc", "none", "one of", "all of a,", "a.b", "[", "0.0.0.0/0"]
    ),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_document_gives_scenarios_or_a_scenario_error(data: st.DataObject) -> None:
    """Whatever is changed, removed or added, nothing but a ScenarioError comes out."""
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        known = places(document)
        if not known:
            break
        *above, last = data.draw(st.sampled_from(known))
        here: Any = document
        for key in above:
            here = here[key]
        action = data.draw(st.sampled_from(["change", "remove", "add"]))
        if action == "remove":
            del here[last]
        elif action == "change":
            here[last] = data.draw(VALUES)
        elif isinstance(here, dict):
            here[data.draw(st.text(max_size=8))] = data.draw(VALUES)
        else:
            here.append(data.draw(VALUES))
    try:
        found = load_document(document, "mutated.toml")
    except ScenarioError as error:
        found, text = (), str(error)
    else:
        text = ""
    assert "\n" not in text
    assert all(isinstance(each, Scenario) for each in found)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_gives_scenarios_or_a_scenario_error(text: str) -> None:
    """Text that is no TOML, or TOML that is no scenario, is a ScenarioError."""
    with pytest.raises(ScenarioError):
        load_text(text)
