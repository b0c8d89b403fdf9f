"""A device whose library blocks: calls go to worker threads, and a thread of the driver's own posts what it reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from canet.server.ioc import Condition, Group, Severity, main, pv, shutdown, startup


class Device:
    """Stands for a vendor's library: each call takes its time, and none of them knows an event loop."""

    def __init__(self) -> None:
        self.gain = 1.0
        self.connected = True

    def set_gain(self, gain: float) -> float:
        """Set the gain; the device rounds it."""
        time.sleep(0.05)
        self.gain = round(gain)
        return self.gain

    def read(self) -> float:
        """Read a value."""
        time.sleep(0.01)
        if not self.connected:
            raise ConnectionError("the cable is out")
        return 42.0 * self.gain


class Driver(Group):
    """The device's gain and reading."""

    gain = pv(1.0, limits=(1, 10))
    reading = pv(0.0, units="V", read_only=True)
    count = pv(0, read_only=True, description="Readings since the start")

    def __init__(self, prefix: str = "", macros: Mapping[str, str] | None = None) -> None:
        super().__init__(prefix, macros)
        self.device = Device()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader")

    @startup
    def begin(self) -> None:
        """Start the driver's own thread."""
        self._thread.start()

    @shutdown
    async def end(self) -> None:
        """Stop it, without holding up the loop."""
        self._ends.set()
        await self.io.run_in_thread(self._thread.join)

    @gain.putter
    async def set_gain(self, gain: float) -> float:
        """Call the device in a worker thread: other clients are served meanwhile."""
        return await self.io.run_in_thread(self.device.set_gain, gain)

    def _read(self) -> None:
        """Read again and again; this is not the loop's thread, and post may be called all the same."""
        readings = 0
        while not self._ends.is_set():
            try:
                self.reading.post(self.device.read())
                readings += 1
                self.count.post(readings)
            except ConnectionError:
                self.reading.alarm(Severity.INVALID, Condition.COMM)


if __name__ == "__main__":
    main(Driver, prefix="driver:")
