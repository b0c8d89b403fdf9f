"""What a scenario file may say: its tables and keys, their types, limits and meaning.

The JSON schema that editors use and the reference in the documentation are generated from these classes, so the
sentence beside a field is what a user reads. Everything is a table with named entries: each value has a dotted path,
and a variant is a list of such paths with new values. :mod:`canet.scenarios.load` gives the values their meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
Device = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=15)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Uid = Annotated[int, Meta(ge=0, le=4_000_000_000)]
Scalar = int | float | str
Hook = Literal["prerouting", "input", "forward", "output", "postrouting"]


class Table(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A table whose keys are all known: a misspelt one is an error."""


class SegmentTable(Table):
    """A layer-2 network: a switch that interfaces are plugged into."""

    mtu: Annotated[int, Meta(ge=68, le=65535, description="Largest packet in bytes.")] = 1500


class PortTable(Table):
    """The switch's side of an interface: what it refuses to do for it."""

    bcast_flood: Annotated[bool, Meta(description="Broadcasts are sent towards this host.")] = True
    mcast_flood: Annotated[bool, Meta(description="Multicasts are sent towards this host.")] = True
    flood: Annotated[bool, Meta(description="Frames to unknown addresses are sent towards this host.")] = True
    isolated: Annotated[bool, Meta(description="Isolated ports exchange nothing with each other.")] = False


class ImpairmentTable(Table):
    """What a cable does to packets in one direction."""

    direction: Annotated[Literal["in", "out"], Meta(description="Seen from the host.")] = "out"
    loss: Annotated[Fraction, Meta(description="Fraction of packets that vanish.")] = 0.0
    delay: Annotated[Seconds, Meta(description="Added delay in seconds.")] = 0.0
    jitter: Annotated[Seconds, Meta(description="Largest deviation from the delay in seconds.")] = 0.0
    duplicate: Annotated[Fraction, Meta(description="Fraction of packets that arrive twice.")] = 0.0
    reorder: Annotated[Fraction, Meta(description="Fraction of packets that overtake others.")] = 0.0
    corrupt: Annotated[Fraction, Meta(description="Fraction of packets with a wrong byte.")] = 0.0
    rate: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="Bits per second at most.")] = None
    cut: Annotated[bool, Meta(description="Nothing passes.")] = False
    seed: Annotated[int, Meta(description="Which packets are hit.")] = 0


class InterfaceTable(Table):
    """A network interface. Exactly one of `segment`, `link` and `parent` is given."""

    segment: Annotated[str | None, Meta(description="The segment that it is plugged into.")] = None
    link: Annotated[str | None, Meta(description="`host.interface` at the far end of a direct cable.")] = None
    parent: Annotated[str | None, Meta(description="`host.interface` that this macvlan sits upon.")] = None
    addresses: Annotated[
        list[str],
        Meta(description="`A/N`, with the subnet's broadcast address; or `A/N brd none`, `A/N brd B`, `A/N peer P`."),
    ] = field(default_factory=list)
    up: Annotated[bool, Meta(description="The interface is up.")] = True
    mtu: Annotated[int, Meta(ge=68, le=65535, description="Largest packet in bytes.")] = 1500
    mac: Annotated[str | None, Meta(description="Hardware address; chosen if not given.")] = None
    port: Annotated[PortTable, Meta(description="The switch's side.")] = field(default_factory=PortTable)
    impairments: Annotated[list[ImpairmentTable], Meta(description="What the cable does to packets.")] = field(
        default_factory=list
    )


class RouteTable(Table):
    """A route of a host."""

    to: Annotated[str, Meta(description="A network `A/N`, an address, or `default`.")]
    via: Annotated[str | None, Meta(description="The router's address.")] = None
    dev: Annotated[str | None, Meta(description="The interface of this host.")] = None
    src: Annotated[str | None, Meta(description="The source address of what goes this way.")] = None
    metric: Annotated[int, Meta(ge=0, description="The route with the smallest wins.")] = 0
    type: Annotated[Literal["unicast", "blackhole", "unreachable", "prohibit"], Meta(description="What it does.")] = (
        "unicast"
    )


class RuleTable(Table):
    """A firewall or NAT rule: all conditions must match, then the one action is taken."""

    hook: Annotated[Hook, Meta(description="Where in the packet's way (as in nftables).")]
    proto: Annotated[Literal["udp", "tcp", "icmp"] | None, Meta(description="Protocol.")] = None
    saddr: Annotated[str | None, Meta(description="Source address or network.")] = None
    daddr: Annotated[str | None, Meta(description="Destination address or network.")] = None
    sport: Annotated[int | str | None, Meta(description="Source port or range `A-B`.")] = None
    dport: Annotated[int | str | None, Meta(description="Destination port or range `A-B`.")] = None
    iif: Annotated[str | None, Meta(description="Interface that it came in by.")] = None
    oif: Annotated[str | None, Meta(description="Interface that it goes out by.")] = None
    ct: Annotated[
        list[Literal["new", "established", "related", "invalid", "untracked"]],
        Meta(description="Connection tracking state, any of these."),
    ] = field(default_factory=list)
    uid: Annotated[Uid | None, Meta(description="User id of the sending socket (output only).")] = None
    chance: Annotated[Fraction, Meta(description="Fraction of packets that the rule applies to.")] = 1.0
    verdict: Annotated[Literal["accept", "drop", "reject"] | None, Meta(description="Action: the fate.")] = None
    dnat: Annotated[str | None, Meta(description="Action: new destination `A` or `A:PORT`.")] = None
    snat: Annotated[str | None, Meta(description="Action: new source address.")] = None
    masquerade: Annotated[bool, Meta(description="Action: source becomes the address of the way out.")] = False


class HostTable(Table):
    """A computer with its own network, processes and host name."""

    interfaces: Annotated[dict[Device, InterfaceTable], Meta(description="Network interfaces by name.")] = field(
        default_factory=dict
    )
    routes: Annotated[list[RouteTable], Meta(description="Routes besides those of the addresses.")] = field(
        default_factory=list
    )
    rules: Annotated[list[RuleTable], Meta(description="Firewall and NAT rules, in order.")] = field(
        default_factory=list
    )
    policies: Annotated[
        dict[Literal["input", "forward", "output"], Literal["accept", "drop"]],
        Meta(description="What happens to packets that no rule decides; `accept` if not given."),
    ] = field(default_factory=dict)
    sysctls: Annotated[dict[str, int | str], Meta(description="Kernel settings, in order.")] = field(
        default_factory=dict
    )
    hostname: Annotated[str | None, Meta(description="What `hostname` says; the host's name if not given.")] = None
    files: Annotated[dict[str, str], Meta(description="Files that only this host sees: path and text.")] = field(
        default_factory=dict
    )
    loopback: Annotated[bool, Meta(description="The interface `lo` is up.")] = True


class ServerTable(Table):
    """A Channel Access server process. Servers start in the order of the file."""

    host: Annotated[str, Meta(description="The host that it runs on.")]
    pvs: Annotated[dict[str, Scalar | list[Scalar]], Meta(description="Its PVs and their values.")] = field(
        default_factory=dict
    )
    env: Annotated[dict[str, Scalar], Meta(description="Its environment variables.")] = field(default_factory=dict)
    implementation: Annotated[
        Literal[
            "canet",
            "rsrv",
            "caproto",
            "pcaspy",
            "nameserver",
            "gateway",
            "relay",
            "repeater",
            "occupant",
            "scripted",
            "mrouter",
            "command",
        ]
        | None,
        Meta(description="What it is; if not given, the run chooses among `speaks_about`."),
    ] = None
    backend: Annotated[
        Literal["asyncio", "curio", "trio"] | None,
        Meta(description="Concurrency library; if not given, the run chooses."),
    ] = None
    layout: Annotated[
        Literal["literal", "rsrv"], Meta(description="canet only: how `EPICS_CAS_INTF_ADDR_LIST` is bound.")
    ] = "literal"
    reuse: Annotated[
        Literal["both", "addr", "port", "none"],
        Meta(description="canet only: `SO_REUSEADDR`, `SO_REUSEPORT` or both on the search sockets."),
    ] = "both"
    uid: Annotated[Uid | None, Meta(description="User id of the process.")] = None
    command: Annotated[list[str], Meta(description="Program and arguments, for `command`.")] = field(
        default_factory=list
    )
    cwd: Annotated[str | None, Meta(description="Working directory, for `command`.")] = None
    ready: Annotated[str | None, Meta(description="Regular expression of the output that says it is ready.")] = None
    autostart: Annotated[bool, Meta(description="Started before the first step.")] = True
    options: Annotated[dict[str, Scalar | bool], Meta(description="Settings of this implementation only.")] = field(
        default_factory=dict
    )


class ClientTable(Table):
    """A Channel Access client process, started afresh for each try."""

    host: Annotated[str, Meta(description="The host that it runs on.")]
    implementation: Annotated[Literal["libca", "caproto", "canet", "command"], Meta(description="What it is.")] = (
        "libca"
    )
    pvs: Annotated[list[str], Meta(description="What it reads; every PV of every server if not given.")] = field(
        default_factory=list
    )
    env: Annotated[dict[str, Scalar], Meta(description="Its environment variables.")] = field(default_factory=dict)
    timeout: Annotated[Seconds, Meta(description="Seconds until a PV counts as unreachable.")] = 2.0
    tries: Annotated[Count, Meta(description="How many fresh processes, one after the other.")] = 1
    uid: Annotated[Uid | None, Meta(description="User id of the process.")] = None
    command: Annotated[list[str], Meta(description="Program and arguments, for `command`.")] = field(
        default_factory=list
    )
    options: Annotated[dict[str, Scalar | bool], Meta(description="Settings of this implementation only.")] = field(
        default_factory=dict
    )


class ProbeTable(Table):
    """Search datagrams that the harness itself sends from a host."""

    host: Annotated[str, Meta(description="The host that it is sent from.")]
    to: Annotated[str, Meta(description="Destination address.")]
    port: Annotated[Port, Meta(description="Destination port.")] = 5064
    pvs: Annotated[list[str], Meta(description="Names searched for; every PV of every server if not given.")] = field(
        default_factory=list
    )
    sources: Annotated[Count, Meta(description="How many source ports are used, one after the other.")] = 1
    repeat: Annotated[Count, Meta(description="How often each source port sends.")] = 1
    level: Annotated[
        Literal["ip", "link"], Meta(description="`ip`: a UDP socket sends; `link`: a frame is put on the interface.")
    ] = "ip"
    interface: Annotated[str | None, Meta(description="Interface of `link` and of multicasts.")] = None
    source: Annotated[str | None, Meta(description="Source address; as the kernel chooses if not given.")] = None
    source_port: Annotated[Port | None, Meta(description="First source port.")] = None
    payload: Annotated[str | None, Meta(description="Raw bytes in hexadecimal instead of searches.")] = None
    size: Annotated[int, Meta(ge=64, le=65507, description="Bytes of one datagram at most.")] = 1024
    connect: Annotated[bool, Meta(description="Connect to each announced address and read the PV.")] = True


class StepTable(Table):
    """One thing that happens. Which keys belong to which `do` is in `canet.scenarios.steps`."""

    do: Annotated[
        Literal[
            "probe",
            "client",
            "start",
            "stop",
            "kill",
            "pause",
            "resume",
            "restart",
            "fault",
            "beacons",
            "send",
            "tcp",
            "watch",
            "await",
            "leave",
            "announce",
            "flood",
            "measure",
            "ports",
            "register",
            "forget",
        ],
        Meta(description="What happens."),
    ]
    target: Annotated[str | None, Meta(description="The probe, client or server that it is about.")] = None
    label: Annotated[str | None, Meta(description="Name by which `expect` speaks about this step.")] = None
    host: Annotated[str | None, Meta(description="The host where it happens.")] = None
    interface: Annotated[str | None, Meta(description="The interface that changes.")] = None
    set: Annotated[
        Literal[
            "up",
            "down",
            "cut",
            "heal",
            "add-address",
            "remove-address",
            "add-route",
            "remove-route",
            "add-rule",
            "remove-rules",
            "impair",
            "sysctl",
            "write-file",
        ]
        | None,
        Meta(description="The change that a `fault` makes."),
    ] = None
    address: Annotated[str | None, Meta(description="`A/N` that is added or removed; where `send`, `tcp` go.")] = None
    route: Annotated[RouteTable | None, Meta(description="The route that is added or removed.")] = None
    rule: Annotated[RuleTable | None, Meta(description="The rule that is added.")] = None
    impairment: Annotated[ImpairmentTable | None, Meta(description="What the cable does from now on.")] = None
    direction: Annotated[Literal["in", "out"] | None, Meta(description="Direction of `cut` and `heal`.")] = None
    name: Annotated[str | None, Meta(description="The sysctl or the file's path.")] = None
    value: Annotated[Scalar | None, Meta(description="The sysctl's value or the file's text.")] = None
    heal_after: Annotated[Seconds | None, Meta(description="Seconds after which the change is undone.")] = None
    port: Annotated[Port | None, Meta(description="Port of `beacons`, `send` and `tcp`.")] = None
    burst: Annotated[bool | None, Meta(description="`flood` does not wait for servers to read.")] = None
    count: Annotated[Count | None, Meta(description="How many beacons are awaited, or datagrams sent.")] = None
    seconds: Annotated[Seconds | None, Meta(description="How long it lasts at most.")] = None
    payload: Annotated[str | None, Meta(description="Bytes in hexadecimal for `send` and `tcp`.")] = None
    event: Annotated[
        Literal["connected", "disconnected", "value", "search", "echo", "registered", "says"] | None,
        Meta(description="What `await` waits for, of a client that `watch` has started."),
    ] = None
    pv: Annotated[str | None, Meta(description="The PV that `await` is about; all of the client's if not given.")] = (
        None
    )
    skip: Annotated[Seconds | None, Meta(description="Seconds that `await` does not look at, from the start.")] = None
    client: Annotated[
        str | None, Meta(description="The staying client to whose own port `announce` sends, as a repeater does.")
    ] = None
    text: Annotated[str | None, Meta(description="Regular expression of the output that `await` waits for.")] = None
    searches: Annotated[
        Count | None, Meta(description="Search datagrams of the client after which `await` gives up.")
    ] = None
    numbers: Annotated[
        list[Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]] | None,
        Meta(description="Sequence numbers of the beacons of `announce`."),
    ] = None
    period: Annotated[Seconds | None, Meta(description="Seconds between two beacons of `announce`.")] = None
    gaps: Annotated[
        list[Seconds] | None, Meta(description="Seconds before each beacon of `announce`, where they differ.")
    ] = None
    server: Annotated[str | None, Meta(description="`A:PORT` that the beacons of `announce` tell.")] = None
    since: Annotated[str | None, Meta(description="Label of an earlier `measure` to compare with.")] = None


class WhenTable(Table):
    """What must be seen. What is not given is not checked; what is given replaces the general expectation's."""

    received: Annotated[str | None, Meta(description="Servers that read the datagram.")] = None
    answered: Annotated[str | None, Meta(description="Servers whose reply came back.")] = None
    connects: Annotated[
        str | None, Meta(description="Servers that were then reached by TCP and whose PV was read.")
    ] = None
    reply_from: Annotated[
        list[str] | None, Meta(description="Source addresses (`A` or `A:PORT`) of the replies: these and no other.")
    ] = None
    replies: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How often each datagram of the probe is answered; a server may do so twice in one datagram."),
    ] = None
    reads: Annotated[str | None, Meta(description="PVs that a client read.")] = None
    says: Annotated[str | None, Meta(description="Regular expression that the output matches.")] = None
    silent: Annotated[bool | None, Meta(description="The client sent no search at all.")] = None
    searches_to: Annotated[
        list[str] | None,
        Meta(description="Destinations (`A`, `A:PORT`) that the client searched: these and no other."),
    ] = None
    measures: Annotated[dict[str, Any], Meta(description="Other measures by name.")] = field(default_factory=dict)
    because: Annotated[str, Meta(description="Why, in one sentence.")] = ""


class ExpectTable(WhenTable):
    """What must be seen of a probe, client, server or labelled step; `when` holds what differs for some servers."""

    when: Annotated[dict[Name, WhenTable], Meta(description="What differs for an implementation.")] = field(
        default_factory=dict
    )


class VariantTable(Table):
    """The same scenario with some values changed: a fix, a near miss, a turn of the same problem."""

    title: Annotated[str, Meta(description="What is changed, in a few words.")]
    set: Annotated[dict[str, Any], Meta(description="Dotted paths and their new values.")] = field(default_factory=dict)
    unset: Annotated[list[str], Meta(description="Dotted paths that are removed.")] = field(default_factory=list)
    cause: Annotated[str, Meta(description="What is wrong here, in one sentence; empty where nothing is.")] = ""
    needs: Annotated[list[Name], Meta(description="What the machine must have besides.")] = field(default_factory=list)
    speaks_about: Annotated[
        list[Name] | None, Meta(description="Implementations, where they differ from the file's.")
    ] = None
    expect: Annotated[
        dict[Name, ExpectTable], Meta(description="Expectations; each replaces the base's of the same name, whole.")
    ] = field(default_factory=dict)


class Document(Table):
    """A scenario file."""

    title: Annotated[str, Meta(min_length=1, max_length=140, description="The problem in one line.")]
    story: Annotated[str, Meta(description="What people see, why, since when, who is affected, what to do.")] = ""
    drawing: Annotated[str, Meta(description="The network, drawn in text.")] = ""
    references: Annotated[list[str], Meta(description="Where it is reported or described.")] = field(
        default_factory=list
    )
    tags: Annotated[list[Name], Meta(description="Words to find it by.")] = field(default_factory=list)
    speaks_about: Annotated[
        list[Name], Meta(description="Implementations that can play the servers; canet's if not given.")
    ] = field(default_factory=list)
    needs: Annotated[list[Name], Meta(description="What the machine must have: `root`, `uids`, `libca` …")] = field(
        default_factory=list
    )
    base: Annotated[Name, Meta(description="The name of the variant that the file itself describes.")] = "broken"
    base_title: Annotated[str, Meta(description="What is special in the base, in a few words.")] = ""
    cause: Annotated[str, Meta(description="What is wrong in the base, in one sentence.")] = ""
    segments: Annotated[dict[Name, SegmentTable], Meta(description="Switches.")] = field(default_factory=dict)
    hosts: Annotated[dict[Name, HostTable], Meta(description="Computers.")] = field(default_factory=dict)
    servers: Annotated[dict[Name, ServerTable], Meta(description="Servers, in the order of their start.")] = field(
        default_factory=dict
    )
    clients: Annotated[dict[Name, ClientTable], Meta(description="Real clients.")] = field(default_factory=dict)
    probes: Annotated[dict[Name, ProbeTable], Meta(description="Searches of the harness itself.")] = field(
        default_factory=dict
    )
    steps: Annotated[
        list[StepTable], Meta(description="What happens, in order; all probes, then all clients, if not given.")
    ] = field(default_factory=list)
    expect: Annotated[dict[Name, ExpectTable], Meta(description="What must be seen.")] = field(default_factory=dict)
    variants: Annotated[dict[Name, VariantTable], Meta(description="Fixes and near misses.")] = field(
        default_factory=dict
    )
