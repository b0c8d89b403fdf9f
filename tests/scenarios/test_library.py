"""The shipped scenarios: each is whole, honest in form, and found by its name, tag and story."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from canet.scenarios import library
from canet.scenarios.errors import ScenarioError
from canet.scenarios.load import ROOT, load
from canet.scenarios.schema import FILE

FILES = library.files()


def test_every_file_lies_in_a_theme() -> None:
    """No file is lost in a folder that nobody lists."""
    assert set(FILES) == set(ROOT.rglob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_tells_its_story(path: Path) -> None:
    """Each has a story, a drawing, references, tags, and a reason for what it expects; each broken one a cause."""
    found = load(path)
    base = found[0]
    assert base.story
    assert base.drawing
    assert base.references
    assert base.tags
    assert path.read_text().startswith("#:schema ../" + FILE.name)
    assert base.variant != "broken" or base.cause, "a broken base names its cause"
    for each in found:
        assert each.cause == each.cause.strip().rstrip("."), "a cause is one sentence, without its full stop"
        assert each.expectations, f"{each.key} expects nothing"
        assert each.probes or each.clients or each.steps, f"{each.key} does nothing"
        for expectation in each.expectations:
            assert expectation.because, f"{each.key} does not say why it expects what it says of {expectation.subject}"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_variant_differs_from_the_base(path: Path) -> None:
    """A variant changes something, or it would prove nothing."""
    base, *variants = load(path)
    for each in variants:
        different = (each.topology, each.servers, each.clients, each.probes, each.steps)
        assert different != (base.topology, base.servers, base.clients, base.probes, base.steps), each.key


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_fix_is_told_from_the_fault_by_what_is_seen(path: Path) -> None:
    """A variant without a cause expects something else than the broken base, or the fix would be no proof."""
    base, *variants = load(path)
    for each in variants if base.cause else ():
        if not each.cause:
            assert each.expectations != base.expectations, each.key


def test_names_are_unique() -> None:
    """A file's name alone names a scenario."""
    assert [name for name, count in Counter(path.stem for path in FILES).items() if count > 1] == []


def test_the_nine_statements_are_there() -> None:
    """Each statement is one file, found by its tag."""
    for number in range(1, 10):
        assert len({each.id for each in library.tagged(f"statement-{number}")}) == 1


def test_find_by_name_variant_theme_and_path() -> None:
    """Whatever names a scenario finds it."""
    path = ROOT / "several_servers_on_one_host" / "multi_ioc_localhost_127.toml"
    whole = library.find("multi_ioc_localhost_127")
    assert (
        whole
        == library.find("several_servers_on_one_host/multi_ioc_localhost_127")
        == library.find("multi-ioc-localhost-127")
    )
    assert [each.key for each in library.find(str(path))] == [each.key for each in whole]
    assert [each.variant for each in library.find("multi_ioc_localhost_127[all-addresses]")] == ["all-addresses"]
    assert len(library.find("several_servers_on_one_host")) > len(whole)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("multi_ioc_localhost127", "multi_ioc_localhost_127"), ("multi_ioc_localhost_127[all-adresses]", "all-addresses")],
)
def test_a_wrong_name_says_the_nearest(text: str, nearest: str) -> None:
    """A misspelt name or variant is answered with the right one."""
    with pytest.raises(ScenarioError) as caught:
        library.find(text)
    assert caught.value.nearest == nearest


def test_a_wrong_tag_says_the_nearest() -> None:
    """A misspelt tag is answered with the right one."""
    with pytest.raises(ScenarioError) as caught:
        library.tagged("unicats")
    assert caught.value.nearest == "unicast"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("iptables rule so that all IOCs on my host answer", "dnat_unicast_to_broadcast"),
        ("127.255.255.255 finds nothing", "multi_ioc_localhost_127"),
        ("multicast", "multicast_group"),
    ],
)
def test_words_find_the_scenario(words: str, name: str) -> None:
    """What a user would say leads to the scenario that speaks of it."""
    assert name in [hit.scenario.id.rpartition("/")[2] for hit in library.search(words, most=3)]


def test_words_that_nobody_uses_find_nothing() -> None:
    """No hit is better than a wrong one."""
    assert library.search("xylophone") == ()
