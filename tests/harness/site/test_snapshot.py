"""Reading machines: in a namespace of our own, and from stored tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from canet.harness.site import snapshot
from canet.harness.site.site import read_site
from canet.harness.site.snapshot_network import Machine, read_machine
from canet.harness.site.snapshot_processes import Bound, Speaker, sockets
from canet.netns import Network, enter
from canet.netns.topology import Address, Route
from tests.harness.predict.nets import host, lan


def test_network_of_a_host_reads_back(tmp_path: Path) -> None:
    """Addresses, odd broadcast attributes, routes and settings of a host become the tables they came from."""
    from ipaddress import IPv4Address, IPv4Network

    enter()
    default = Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254"))
    one = host("a", "10.1.0.2/24 brd none", routes=(default,), sysctls=(("net.ipv4.conf.all.rp_filter", "1"),))
    with Network(lan(one)) as net:
        machine = net["a"].call(read_machine, "a")

    card = next(each for each in machine.cards if each.name == "eth0")
    assert card.addresses == ["10.1.0.2/24 brd none"]
    assert machine.routes == [{"to": "default", "via": "10.1.0.254", "dev": "eth0"}]
    assert machine.sysctls == {"net.ipv4.conf.all.rp_filter": "1"}
    document = snapshot.describe(machine, [], [], {})
    whole = read_site(document, str(tmp_path / "a.toml")).scenario
    assert whole.topology.host("a").addresses == (Address.parse("10.1.0.2/24 brd none"),)


def machine(name: str, network: str, address: str) -> dict[str, Any]:
    """Return the snapshot of a machine with one interface, one IOC and one client."""
    from ipaddress import IPv4Network

    from canet.harness.site.snapshot_network import Card

    card = Card(2, "eth0", True, False, 1500, [address], [IPv4Network(network)])
    ioc = Speaker(7, "softIoc", 0, {}, [Bound("0.0.0.0", 5064, 1, 0)], [Bound("0.0.0.0", 5064, 2, 0)], "both")
    client = Speaker(8, "opi", 1000, {"EPICS_CA_ADDR_LIST": "10.1.0.2"})
    return snapshot.describe(Machine(name, [card]), [ioc, client], [], {})


def test_snapshots_merge_into_one_site() -> None:
    """Machines on the same network share a segment, also where a mask is wrong."""
    whole = snapshot.merge(
        [
            machine("a", "10.1.0.0/24", "10.1.0.1/24"),
            machine("b", "10.1.0.0/24", "10.1.0.2/24"),
            machine("c", "10.1.0.0/16", "10.1.0.3/16"),
        ]
    )
    site = read_site(whole, "site.toml").scenario

    assert list(whole["segments"]) == ["net-10-1-0-0-24"]
    assert len(site.topology.hosts) == 3
    assert len(site.servers) == 3
    assert len(site.clients) == 3


def test_toml_reads_back() -> None:
    """What is written is what is read."""
    import tomllib

    document = machine("a.site", "10.1.0.0/24", "10.1.0.1/24")

    assert tomllib.loads(snapshot.to_toml(document)) == document


def test_socket_tables_of_proc(tmp_path: Path) -> None:
    """The lines of /proc/net/udp become addresses and ports."""
    path = tmp_path / "udp"
    path.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   1: 0200010A:13C8 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4711 2 0 0\n"
    )

    assert list(sockets(path)) == [Bound("10.1.0.2", 5064, 4711, 1000)]
