"""The server as a whole: what it tells its driver."""

from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.server import Server
from tests.server.wire import Wire, serve


def test_wakes_its_driver_once() -> None:
    """Posts between two calls of the driver wake it once."""
    pv = PV("x", 0.0)
    wire = Wire(serve(pv))
    wire.watch(wire.open("x"), 6)
    wire.take()
    woken: list[int] = []
    wire.server.wake = lambda: woken.append(1)

    for value in range(5):
        pv.post(float(value))

    assert woken == [1]
    assert wire.server.dirty == [wire.circuit]


def test_counts() -> None:
    """Clients, channels and searches are counted."""
    server = serve(PV("x", 0.0))
    one, two = Wire(server), Wire(server)
    one.open("x")
    two.open("x")
    server.disconnected(two.circuit)

    statistics = server.count()

    assert (statistics.clients, statistics.channels) == (1, 1)
    assert statistics.bytes_in > 0


def test_close_asks_for_all_circuits() -> None:
    """The driver is asked to close each."""
    server = Server(Directory())
    wires = [Wire(server), Wire(server)]
    server.close()

    assert all(each.circuit.closing for each in wires)
    assert set(server.dirty) == {each.circuit for each in wires}
