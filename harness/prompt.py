"""The prompt of a lab that is up: look around, run programs on hosts, search, break things, and watch."""

from __future__ import annotations

import cmd
import os
import shlex
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from canet.harness.lab import faults, finding, steps
from canet.harness.lab.lab import Lab
from canet.harness.report import chart
from canet.harness.wire import pcapng
from canet.harness.wire.conversation import conversation
from canet.netns import Address, NetworkError
from canet.scenarios.model import Step


class Prompt(cmd.Cmd):
    """One command a line; ``help`` lists them. Errors are said, and the lab stays up."""

    intro = "The lab is up. Type help for the commands, quit (or Ctrl-D) to end it."
    prompt = "canet> "

    def __init__(self, lab: Lab, stdin: TextIO, stdout: TextIO, *, interactive: bool) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self._lab = lab
        self.use_rawinput = interactive
        if not interactive:
            self.intro, self.prompt = "", ""
        self._shown = 0

    # -- looking around --------------------------------------------------------------------------------------------

    def do_hosts(self, _line: str) -> None:
        """Show the hosts, their addresses, and how another terminal enters them.

        hosts
        """
        for host in self._lab.network.topology.hosts:
            addresses = ", ".join(f"{i.name} {a}" for i in host.interfaces for a in i.addresses) or "no address"
            self._say(f"{host.name}: {addresses}; {' '.join(self._lab.network[host.name].enter_command())}")

    def do_servers(self, _line: str) -> None:
        """Show the servers, their processes and sockets.

        servers
        """
        self._lab.crew.check()
        for each in self._lab.crew:
            state = each.died or ("ended" if each.process.poll() is not None else f"process {each.process.pid}")
            self._say(
                f"{each.name}: {each.recipe.implementation} on {each.server.host}, {state}, "
                f"UDP {', '.join(each.udp) or 'none'}, TCP {', '.join(each.tcp) or 'none'}"
            )

    def do_output(self, line: str) -> None:
        """Show what a server has printed.

        output SERVER
        """
        (name,) = self._words(line, 1, "output SERVER")
        self._lab.outputs.pull()
        self._say(self._lab.crew.running[name].stream.text.rstrip())

    def do_history(self, _line: str) -> None:
        """Show what has happened, with times in seconds.

        history
        """
        for each in self._lab.history:
            self._say(f"{each.time:8.3f}  {each.what} {each.who}" + (f": {each.detail}" if each.detail else ""))

    # -- programs --------------------------------------------------------------------------------------------------

    def do_exec(self, line: str) -> None:
        """Run a program on a host.

        exec HOST COMMAND…
        """
        host, *command = self._words(line, 2, "exec HOST COMMAND…", more=True)
        self._run(host, command)

    def do_shell(self, line: str) -> None:
        """Open a shell on a host; exit comes back here.

        shell HOST
        """
        (host,) = self._words(line, 1, "shell HOST")
        self._run(host, [os.environ.get("SHELL", "/bin/sh")])

    def _run(self, host: str, command: list[str]) -> None:
        self.stdout.flush()
        process = self._lab.network[host].spawn(command, env=_terminal(), cwd=Path.cwd(), stdin=0, output=1)
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
        try:
            status = process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)
        if status:
            self._say(f"it ended with {status}")

    # -- searching -------------------------------------------------------------------------------------------------

    def do_search(self, line: str) -> None:
        """Search from a host; without --to by its broadcast addresses.

        search HOST PV… [--to ADDRESS[:PORT]]…
        """
        words, targets = _options(shlex.split(line), "--to")
        if len(words) < 2:
            raise ValueError("search HOST PV… [--to ADDRESS[:PORT]]…")
        for text in finding.search(self._lab, words[0], words[1:], targets):
            self._say(text)

    def do_probe(self, line: str) -> None:
        """Send a probe of the scenario.

        probe NAME
        """
        self._step("probe", line)

    def do_client(self, line: str) -> None:
        """Run a client of the scenario.

        client NAME
        """
        (name,) = self._words(line, 1, "client NAME")
        for number, each in enumerate(self._lab.client(name).tries, 1):
            values = ", ".join(f"{pv} = {value} ({each.servers.get(pv)})" for pv, value in each.values.items())
            missing = f"; not found: {', '.join(each.missing)}" if each.missing else ""
            self._say(f"try {number}: {values or 'nothing was read'}{missing}")

    def do_messages(self, line: str) -> None:
        """Show the messages since the last time, or all, as a chart between hosts.

        messages [all]
        """
        self._lab.barrier.wait()
        since, self._shown = (0 if line.strip() == "all" else self._shown), len(self._lab.capture)
        found = conversation(each for each in self._lab.capture.frames(since) if not finding.is_sentinel(each))
        self._say(chart.text(found, [each.name for each in self._lab.network.topology.hosts]))

    def do_capture(self, line: str) -> None:
        """Write all frames until now into a file for Wireshark.

        capture FILE
        """
        (name,) = self._words(line, 1, "capture FILE")
        frames = [each for each in self._lab.capture.frames() if not finding.is_sentinel(each)]
        pcapng.write(Path(name), frames, self._lab.network.topology, comment=self._lab.scenario.key)
        self._say(f"{len(frames)} frames in {name}")

    # -- servers and faults ----------------------------------------------------------------------------------------

    def do_start(self, line: str) -> None:
        """Start a server.

        start SERVER
        """
        self._step("start", line)

    def do_stop(self, line: str) -> None:
        """End a server with SIGTERM; without a name, end the lab.

        stop [SERVER]
        """
        if line.strip():
            self._step("stop", line)
        else:
            self.cmdqueue.append("quit")

    def do_kill(self, line: str) -> None:
        """End a server with SIGKILL.

        kill SERVER
        """
        self._step("kill", line)

    def do_pause(self, line: str) -> None:
        """Stop a server as it stands.

        pause SERVER
        """
        self._step("pause", line)

    def do_resume(self, line: str) -> None:
        """Let a paused server go on.

        resume SERVER
        """
        self._step("resume", line)

    def do_restart(self, line: str) -> None:
        """End a server and start it again.

        restart SERVER
        """
        self._step("restart", line)

    def do_fault(self, line: str) -> None:
        """Break the network, for some seconds or until it is healed.

        fault HOST WHAT [INTERFACE] [VALUE] [--heal SECONDS], where WHAT is down, up, cut, heal, unplug, plug,
        add-address, remove-address, remove-rules or sysctl; for example: fault ioc down eth0 --heal 5
        """
        words, heal = _options(shlex.split(line), "--heal")
        if len(words) < 2:
            raise ValueError("fault HOST WHAT [INTERFACE] [VALUE] [--heal SECONDS], for example: fault ioc down eth0")
        args: dict[str, Any] = {"host": words[0], "set": words[1]}
        if words[1] == "sysctl":
            args |= dict(zip(("name", "value"), words[2:], strict=False))
        else:
            args |= dict(zip(("interface", "address"), words[2:], strict=False))
        if "address" in args:
            args["address"] = Address.parse(args["address"])
        if heal:
            args["heal_after"] = float(heal[0])
        faults.make(self._lab, Step(do="fault", args=args))
        self._say(f"{words[0]}: {faults.words(args)}")

    def do_quit(self, _line: str) -> bool:
        """End the lab.

        quit
        """
        return True

    do_EOF = do_quit  # noqa: N815 - cmd.Cmd wants this name

    # -- how it works ----------------------------------------------------------------------------------------------

    def onecmd(self, line: str) -> bool:
        """Do one line; say what goes wrong."""
        try:
            return bool(super().onecmd(line))
        except (NetworkError, OSError, ValueError, KeyError, StopIteration) as error:
            self._say(f"not done: {error.args[0] if isinstance(error, KeyError) else error}")
            return False

    def emptyline(self) -> bool:
        """Do nothing."""
        return False

    def default(self, line: str) -> None:
        """Say what there is."""
        if line != "EOF":
            known = ", ".join(
                sorted(name[3:] for name in self.get_names() if name.startswith("do_") and name[3:] != "EOF")
            )
            self._say(f"no command is called {line.split(maxsplit=1)[0]!r}; there are {known}")

    def completenames(self, text: str, *_ignored: Any) -> list[str]:
        """Complete the commands."""
        return [name[3:] for name in self.get_names() if name.startswith(f"do_{text}") and name != "do_EOF"]

    def completedefault(self, text: str, *_ignored: Any) -> list[str]:
        """Complete names of hosts, servers, probes and clients."""
        scenario = self._lab.scenario
        groups: Iterable[Iterable[Any]] = (scenario.topology.hosts, scenario.servers, scenario.probes, scenario.clients)
        return sorted({each.name for group in groups for each in group if each.name.startswith(text)})

    def _step(self, do: str, line: str) -> None:
        (name,) = self._words(line, 1, f"{do} NAME")
        before = len(self._lab.history)
        steps.do(self._lab, Step(do=do, target=name))
        for each in self._lab.history[before:]:
            self._say(f"{each.what} {each.who}" + (f": {each.detail}" if each.detail else ""))

    def _words(self, line: str, count: int, usage: str, *, more: bool = False) -> list[str]:
        words = shlex.split(line)
        if len(words) != count and not (more and len(words) > count):
            raise ValueError(usage)
        return words

    def _say(self, text: str) -> None:
        print(text, file=self.stdout)


def _terminal() -> dict[str, str]:
    return {key: os.environ[key] for key in ("TERM", "COLORTERM", "PS1") if key in os.environ}


def _options(words: list[str], name: str) -> tuple[list[str], list[str]]:
    """Take ``NAME VALUE`` pairs out of words; return the rest and the values."""
    rest: list[str] = []
    values: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == name:
            values.append(next(waiting, ""))
        else:
            rest.append(word)
    return rest, values
