"""Throw malformed Channel Access at the server on each backend, over UDP and TCP, while a healthy client is served.

``python -m tests.fuzz [--seconds N] [--backend NAME] [--seed S]`` goes on for as long as asked; the test suite runs a
fixed number of inputs with a fixed seed. What counts as failure: the server ends, logs an exception, does not answer
the healthy client in time, or grows without bound.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message
from tests.server.live import BACKENDS, Client, environment, free_port, search

PATIENCE = 10.0
"""Seconds within which the healthy client is answered."""
GROWTH = 48 << 20
"""Bytes that the server may grow by, whatever the number of inputs."""
BATCH = 25
NAMES = (
    b"x",
    b"a",
    b"s",
    b"s.VAL$",
    b"x.HIHI",
    b'x{"dbnd":{"abs":1}}',
    b"a[1:2]",
    b"nope",
    b"",
    b"\xff\0\xfe",
    b"x" * 300,
)


class FuzzError(AssertionError):
    """The server did not stand an input; the text says which seed shows it again."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    backend: str
    seed: int
    inputs: int
    seconds: float
    slowest: float
    """Seconds that the healthy client waited for an answer at most."""
    growth: int
    """Bytes that the server grew by."""

    def __str__(self) -> str:
        return (
            f"{self.backend}: {self.inputs} inputs in {self.seconds:.1f} s (seed {self.seed}), "
            f"healthy client answered within {self.slowest * 1e3:.0f} ms, server grew by {self.growth / 1024:.0f} KiB"
        )


def message(dice: random.Random) -> bytes:
    """Return one message, more or less wrong."""
    command = dice.choice((*Command, *Command, dice.randrange(0x10000)))
    small = dice.random() < 0.8
    limit = 40 if small else 0xFFFFFFFF
    payload = dice.choice((dice.choice(NAMES) + b"\0", dice.randbytes(dice.randrange(64)), bytes(12) + b"\0\5\0\0"))
    made = Message(
        command,
        dice.randrange(45 if small else 0x10000),
        dice.randrange(5 if small else 0xFFFFFFFF),
        dice.randrange(8) if small else dice.randrange(limit),
        dice.randrange(8) if small else dice.randrange(limit),
        payload if dice.random() < 0.7 else b"",
    ).pack()
    return mutated(dice, made) if dice.random() < 0.3 else made


def mutated(dice: random.Random, data: bytes) -> bytes:
    """Return the bytes with something changed, cut or doubled."""
    way = dice.randrange(4)
    if way == 0 and data:
        at = dice.randrange(len(data))
        return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
    if way == 1:
        return data[: dice.randrange(len(data) + 1)]
    if way == 2:
        return data + dice.randbytes(dice.randrange(40))
    return data[:2] + b"\xff\xff" + data[4:]


def pieces(dice: random.Random, data: bytes) -> Iterator[bytes]:
    """Cut a stream anywhere."""
    while data:
        size = dice.choice((1, 7, 16, 100, len(data)))
        yield data[:size]
        data = data[size:]


class Attacker:
    """Sends inputs to one server."""

    def __init__(self, dice: random.Random, udp: str, port: int) -> None:
        self.dice = dice
        host, _, number = udp.rpartition(":")
        self.udp = (host, int(number))
        self.port = port
        self.sock: socket.socket | None = None

    def attack(self) -> None:
        """Send one input: a datagram, or some bytes on a circuit that is used for a while."""
        dice = self.dice
        data = b"".join(message(dice) for _ in range(dice.randrange(1, 8)))
        if dice.random() < 0.4:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(data[:60000], self.udp)
            return
        with contextlib.suppress(OSError):  # the server may close, as the protocol says
            if self.sock is None or dice.random() < 0.1:
                self.close()
                self.sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
                self.sock.settimeout(0.0 if dice.random() < 0.5 else 0.05)
                self.sock.sendall(b"".join(Message(18, 0, 0, cid, 13, NAMES[cid] + b"\0").pack() for cid in range(5)))
            for piece in pieces(dice, data):
                self.sock.send(piece)
            if dice.random() < 0.5:
                self.sock.recv(65536)
            return
        self.close()

    def close(self) -> None:
        """Leave the circuit, in one way or another."""
        if self.sock is not None:
            if self.dice.random() < 0.3:  # a reset instead of an orderly end
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.sock.close()
            self.sock = None


def run(backend: str, *, seed: int, inputs: int | None = None, seconds: float | None = None) -> Report:
    """Attack a server on a backend with a number of inputs, or for a time.

    Raises:
        FuzzError: if the server did not stand it.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")}
    config = {"backend": backend, "pvs": {"x": 1.5, "healthy": 0.5, "a": [1.0, 2.0, 3.0], "s": "text"}}
    with subprocess.Popen(
        [sys.executable, "-m", "canet.server.process", json.dumps(config)],
        env={**env, **environment(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            return _run(process, backend, seed, inputs, seconds)
        finally:
            process.kill()


def _run(
    process: subprocess.Popen[bytes], backend: str, seed: int, inputs: int | None, seconds: float | None
) -> Report:
    """Attack, and look at the healthy client and the server's memory after each batch."""
    assert process.stdout is not None
    assert process.stderr is not None
    ready = json.loads(process.stdout.readline())
    port = int(ready["tcp"][0].rpartition(":")[2])
    attacker = Attacker(random.Random(seed), ready["udp"][0], port)
    start = time.monotonic()
    count, slowest, base = 0, 0.0, 0
    try:
        with Client(port) as healthy:
            healthy.sock.settimeout(PATIENCE)
            sid = healthy.open("healthy")
            while (inputs is None or count < inputs) and (seconds is None or time.monotonic() - start < seconds):
                for _ in range(BATCH):
                    attacker.attack()
                count += BATCH
                asked = time.monotonic()
                if healthy.get(sid).payload != b"\x3f\xe0" + bytes(6):
                    raise FuzzError(f"{backend}, seed {seed}, input {count}: the healthy client read another value")
                search(ready["udp"][0], "healthy")
                slowest = max(slowest, time.monotonic() - asked)
                if not base:
                    base = _resident(process.pid)
            growth = _resident(process.pid) - base
    except (OSError, EOFError) as error:
        process.kill()
        log = process.stderr.read().decode()
        raise FuzzError(f"{backend}, seed {seed}, input {count}: {error!r}\n{log}") from error
    finally:
        attacker.close()
    process.send_signal(signal.SIGTERM)
    code, log = process.wait(PATIENCE), process.stderr.read().decode()
    if code or "Traceback" in log:
        raise FuzzError(f"{backend}, seed {seed}: exit code {code}\n{log}")
    if growth > GROWTH:
        raise FuzzError(f"{backend}, seed {seed}: the server grew by {growth} bytes over {count} inputs")
    return Report(backend, seed, count, time.monotonic() - start, slowest, growth)


def _resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Attack each backend in turn; return 0 if all stood it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time for all backends together (60)")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=None, help="the seed that a failure named")
    options = parser.parse_args(argv)
    backends = options.backend or BACKENDS
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    for backend in backends:
        try:
            print(run(backend, seed=seed, seconds=options.seconds / len(backends)), flush=True)
        except FuzzError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
