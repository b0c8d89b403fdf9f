"""Processes on hosts: namespaces, files, environment, signals, output, and their end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from canet.netns import HostNamespace, Network, SpawnError, Topology
from canet.netns.change import SetFile
from canet.netns.enter import only_one_user
from canet.netns.errors import NetworkError
from canet.netns.process import Process, launcher
from tests.netns.lan import PORT, SECONDS, host, lan, sender

Build = Callable[[Topology], Network]
GUESTS = "tests.netns.guests"


def ended(process: Process) -> tuple[int, str]:
    """Return the exit status and all output."""
    return process.wait(SECONDS), process.output_text()


def sh(place: HostNamespace, script: str, **more: object) -> str:
    """Run a shell script on a host and return its output."""
    status, text = ended(place.spawn(argv=["/bin/sh", "-c", script], **more))  # type: ignore[arg-type]
    assert status == 0, text
    return text


def test_a_command_runs_in_its_hosts_network(network: Build) -> None:
    """The command sees the host's interfaces, and its exit status comes back."""
    net = network(lan())
    process = net["server"].spawn(argv=["sh", "-c", "cat /proc/net/dev; exit 3"])
    status, text = ended(process)

    assert status == 3
    assert "eth0:" in text
    assert process.returncode == 3
    assert process.poll() == 3


def test_a_function_runs_in_a_fork(network: Build) -> None:
    """A target gets its arguments; its value is the status, its prints the output."""
    net = network(lan())
    status, text = ended(net["server"].spawn(target=f"{GUESTS}:show", args=["a", "b"]))

    assert status == 7
    assert text == "a b\nserver / 0 ['0', '1', '2']\n"


@pytest.mark.parametrize(
    ("name", "args", "status", "output"),
    [
        ("leave", [5], 5, ""),
        ("leave", ["so long"], 1, "so long\n"),
        ("fail", [], 1, "RuntimeError: told to"),
        ("missing", [], 1, "has no attribute 'missing'"),
    ],
)
def test_a_function_ends_as_a_script_would(
    network: Build, name: str, args: list[object], status: int, output: str
) -> None:
    """``sys.exit``, an exception and a missing function have the statuses and texts of the interpreter."""
    process = network(lan())["server"].spawn(target=f"{GUESTS}:{name}", args=args)
    seen, text = ended(process)

    assert seen == status
    assert output in text


def test_the_environment_is_clean(network: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set here does not reach a host, what is given does; for commands and functions alike."""
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "10.9.9.9")
    net = network(lan())
    given = {"EPICS_CA_AUTO_ADDR_LIST": "NO", "LANG": "C"}
    _, of_function = ended(net["client"].spawn(target=f"{GUESTS}:environment", env=given))
    of_command = sh(net["client"], "env", env=given)
    for text in (of_function, of_command):
        assert "EPICS_CA_AUTO_ADDR_LIST=NO\n" in text
        assert "LANG=C\n" in text
        assert "HOME=" in text
        assert "10.9.9.9" not in text


def test_signals_are_at_their_defaults(network: Build) -> None:
    """A process starts with no handler of ours, nothing blocked, and a session of its own.

    Signals 32 and 33 are the C library's own: it lets no program change them, and whoever started
    the tests may have them ignored.
    """
    net = network(lan())
    _, text = ended(net["client"].spawn(target=f"{GUESTS}:signals"))

    assert text == "['SIGPIPE'] set() True\n"
    status = sh(net["client"], "cat /proc/self/status")
    (ignored,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn"))
    assert [number for number in sorted(signal.valid_signals()) if ignored >> (number - 1) & 1] == []


def test_what_c_libraries_print_leaves_by_lines(network: Build) -> None:
    """It stands between Python's lines where it belongs, and is not lost when the process is killed."""
    net = network(lan())
    assert ended(net["client"].spawn(target=f"{GUESTS}:print_in_c")) == (0, "a line\nin between\n")


UNDER_NOHUP = """
import signal, sys
sys.path[:] = {path!r}
from canet.netns import Network, enter
from tests.netns.lan import lan
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
enter()
with Network(lan()) as net:
    for how in ({{"target": "tests.netns.guests:signals"}}, {{"argv": ["sh", "-c", "kill -HUP $$; echo deaf"]}}):
        process = net["client"].spawn(**how)
        print(process.wait(30), process.output_text().strip())
"""


def test_ignored_signals_stay_with_who_ignores_them() -> None:
    """A controlling process under ``nohup`` starts processes that a hangup ends."""
    code = UNDER_NOHUP.format(path=[str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert run.stderr == ""
    assert run.stdout.splitlines() == ["0 ['SIGPIPE'] set() True", f"-{int(signal.SIGHUP)} "]


def test_signals_reach_it(network: Build) -> None:
    """Stop, continue and terminate do what they say."""
    process = network(lan())["client"].spawn(argv=["sleep", "60"])

    def state() -> str:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    process.signal(signal.SIGSTOP)
    while state() != "T":
        pass
    process.signal(signal.SIGCONT)
    while state() == "T":
        pass
    assert process.poll() is None
    process.signal(signal.SIGTERM)

    assert process.wait(SECONDS) == -signal.SIGTERM


def test_waiting_has_an_end(network: Build) -> None:
    """A timeout says what runs where, with the end of its output."""
    process = network(lan())["client"].spawn(argv=["sh", "-c", "echo last words; sleep 60"])
    while not process.output_text():
        select.select([], [], [], 0.001)
    with pytest.raises(TimeoutError, match=r"sh on host client still runs after 0.01 s\nlast words"):
        process.wait(0.01)
    process.kill()

    assert process.wait(SECONDS) == -signal.SIGKILL


def test_its_end_can_be_selected(network: Build) -> None:
    """A process is readable, for ``select`` and event loops, when it has ended."""
    net = network(lan())
    quick, slow = net["client"].spawn(argv=["true"]), net["client"].spawn(argv=["sleep", "60"])

    assert select.select([quick, slow], [], [], SECONDS)[0] == [quick]


def test_output_goes_where_it_is_told(network: Build, tmp_path: Path) -> None:
    """To a file, to a descriptor, or kept."""
    net = network(lan())
    path = tmp_path / "log"
    to_file = net["client"].spawn(argv=["echo", "to a file"], output=path)
    reader, writer = os.pipe()
    to_pipe = net["client"].spawn(argv=["echo", "to a pipe"], output=writer)
    os.close(writer)

    assert ended(to_file) == (0, "to a file\n")
    assert path.read_text() == "to a file\n"
    with os.fdopen(reader) as stream:
        assert stream.read() == "to a pipe\n"
    assert to_pipe.wait(SECONDS) == 0
    with pytest.raises(NetworkError, match="read it there"):
        to_pipe.output_text()


def test_output_stays_after_the_network_is_gone() -> None:
    """Reports are made when everything is closed."""
    with Network(lan()) as network:
        process = network["client"].spawn(argv=["echo", "kept"])
        process.wait(SECONDS)

    assert process.output_text() == "kept\n"
    assert process.returncode == 0


def test_descriptors_have_the_numbers_that_were_asked_for(network: Build) -> None:
    """A pipe can be number 9 in the process, for functions and commands."""
    net = network(lan())
    reader, writer = os.pipe()
    one = net["client"].spawn(target=f"{GUESTS}:write_to", args=[9, "function "], fds={9: writer})
    assert ended(one) == (0, "")
    two = net["client"].spawn(argv=["sh", "-c", "echo command >&9"], fds={9: writer})
    assert ended(two) == (0, "")
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert stream.read() == "function command\n"


def test_stdin_is_empty_or_given(network: Build) -> None:
    """Without a descriptor reading ends at once."""
    net = network(lan())
    reader, writer = os.pipe()
    os.write(writer, b"given")
    os.close(writer)

    assert sh(net["client"], "cat") == ""
    assert sh(net["client"], "cat", stdin=reader) == "given"
    os.close(reader)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"argv": ["no-such-command"]}, "host client: no such command: no-such-command"),
        ({"argv": ["/etc/passwd"]}, "host client: no such command: /etc/passwd"),
        ({"argv": ["true"], "cwd": "/no/where"}, "host client: no such working directory: /no/where"),
        ({}, "host client: give either argv or target"),
        ({"argv": ["true"], "target": "a:b"}, "host client: give either argv or target"),
    ],
)
def test_what_cannot_start_says_why(network: Build, how: dict[str, object], what: str) -> None:
    """The error names host and command, and the host goes on."""
    net = network(lan())
    with pytest.raises(SpawnError, match=what):
        net["client"].spawn(**how)  # type: ignore[arg-type]

    assert sh(net["client"], "echo on") == "on\n"


def test_hosts_have_names_and_files_of_their_own(network: Build) -> None:
    """Host name, existing and new files differ from host to host, and the machine's stay as they are."""
    before = Path("/etc/hosts").read_text()
    files = (("/etc/hosts", "10.1.0.2 gateway\n"), ("/etc/canet/deep/new.conf", "new\n"))
    net = network(lan(host("client", "10.1.0.1/24", hostname="console", files=files), host("server", "10.1.0.2/24")))

    assert sh(net["client"], "hostname; cat /etc/hosts /etc/canet/deep/new.conf") == "console\n10.1.0.2 gateway\nnew\n"
    assert sh(net["client"], "cat /etc/passwd") == Path("/etc/passwd").read_text()
    assert sh(net["server"], "hostname; cat /etc/hosts") == f"server\n{before}"
    assert Path("/etc/hosts").read_text() == before
    assert not Path("/etc/canet").exists()


def test_a_file_may_be_behind_a_link(network: Build, tmp_path: Path) -> None:
    """As /etc/resolv.conf is: what the link leads to differs, the link stays."""
    (tmp_path / "real").write_text("machine\n")
    link = tmp_path / "link"
    link.symlink_to("real")
    net = network(lan(host("client", "10.1.0.1/24", files=((str(link), "host\n"),)), host("server", "10.1.0.2/24")))

    assert sh(net["client"], f"cat {link}") == "host\n"
    assert sh(net["server"], f"cat {link}") == "machine\n"
    assert link.is_symlink()


def test_a_private_tmp_may_hold_files_of_the_host(network: Build) -> None:
    """A file below a /tmp that only the host has, and a program there."""
    files = (("/tmp/site/hello", "#!/bin/sh\necho hello\n"),)
    net = network(lan(host("client", "10.1.0.1/24", private_tmp=True, files=files)))

    assert sh(net["client"], "/tmp/site/hello; ls /tmp") == "hello\nsite\n"


def test_files_change_while_a_host_runs(network: Build) -> None:
    """A changed file is seen by running processes, and undone."""
    before = Path("/etc/hosts").read_text()
    net = network(lan())
    back = net.change(SetFile(host="client", path="/etc/hosts", text="first\n"))
    assert sh(net["client"], "cat /etc/hosts") == "first\n"
    net.change(SetFile(host="client", path="/etc/hosts", text="second\n"))
    assert sh(net["client"], "cat /etc/hosts") == "second\n"
    net.change(back)

    assert sh(net["client"], "cat /etc/hosts") == before
    assert sh(net["server"], "cat /etc/hosts") == before


def test_a_private_tmp_is_empty(network: Build, tmp_path: Path) -> None:
    """Hosts share /tmp unless one asks for its own."""
    net = network(lan(host("client", "10.1.0.1/24", private_tmp=True), host("server", "10.1.0.2/24")))
    sh(net["client"], "echo secret > /tmp/canet-private")

    assert sh(net["client"], "ls /tmp") == "canet-private\n"
    assert not Path("/tmp/canet-private").exists()
    assert sh(net["server"], f"ls -d {tmp_path}") == f"{tmp_path}\n"


def test_a_host_sees_its_own_processes(network: Build) -> None:
    """/proc belongs to the host's PID namespace."""
    net = network(lan())
    for name in ("client", "server"):
        staying = net[name].spawn(argv=["sh", "-c", "echo here; kill -STOP $$"])
        while not staying.output_text():  # only then it goes by its own name
            select.select([], [], [], 0.001)
    _, text = ended(net["client"].spawn(target=f"{GUESTS}:processes"))

    assert net["client"].processes.notes == ()
    assert sorted(text.split()) == ["canet:client", "processes", "sh"]


def test_daemons_end_with_their_host() -> None:
    """What forked away twice and ignores SIGTERM is gone when the network is closed."""
    reader, writer = os.pipe()
    with Network(lan()) as network:
        process = network["client"].spawn(target=f"{GUESTS}:daemon", args=[5], fds={5: writer})
        os.close(writer)
        assert os.read(reader, 2) == b"up"
        assert process.wait(SECONDS) == 0
    # The daemon held the pipe's end: it is closed, so the daemon is gone.
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_another_user(network: Build, real_root: None) -> None:
    """Root can start processes as any user."""
    assert sh(network(lan())["client"], "id -u", uid=1234) == "1234\n"


def test_a_user_that_does_not_exist_is_refused(network: Build) -> None:
    """Where only one user id is mapped, the error says so."""
    net = network(lan())
    ids = int(Path("/proc/self/uid_map").read_text().split()[2])
    with pytest.raises(SpawnError, match="host client: uid"):
        net["client"].spawn(argv=["true"], uid=ids)


def test_a_server_process_hears_the_network(network: Build) -> None:
    """A spawned server is ready when it says so, and gets what other hosts send."""
    net = network(lan())
    process = net["server"].spawn(target=f"{GUESTS}:hear", args=[PORT, 1])
    while "ready" not in process.output_text():
        assert process.poll() is None, process.output_text()
    with sender(net["client"]) as client:
        client.sendto(b"hello", ("10.1.0.255", PORT))

    assert ended(process) == (0, "ready\nhello\n")


def test_many_start_side_by_side(network: Build) -> None:
    """Threads may start processes on hosts at the same time."""
    net = network(lan())
    statuses: list[int] = []

    def start(name: str) -> None:
        statuses.append(net[name].spawn(argv=["sh", "-c", "exit 4"]).wait(SECONDS))

    threads = [threading.Thread(target=start, args=(name,)) for name in ("client", "server") * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert statuses == [4] * 8


def test_modules_are_there_before_the_fork() -> None:
    """A preloaded module is not imported again; one that cannot be imported is an error when it is needed."""
    with Network(lan(), preload=["tests.netns.guests"]) as network:
        assert network["client"].spawn(target=f"{GUESTS}:leave", args=[0]).wait(SECONDS) == 0
    with Network(lan(), preload=["canet.no_such_module"]) as network, pytest.raises(SpawnError, match="no_such_module"):
        network["client"].spawn(argv=["true"])
    with Network(lan()) as network:
        assert network["client"].spawn(argv=["true"]).wait(SECONDS) == 0


def test_a_host_can_be_entered_from_a_terminal(network: Build) -> None:
    """The command that is shown to people leads into the host."""
    net = network(lan())
    command = net["server"].enter_command("hostname")
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if only_one_user() and run.returncode:
        # This test is in the user namespace already; a terminal is outside of it.
        command = [word for word in command if word not in ("--user", "--preserve-credentials")]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (run.stdout, run.stderr) == ("server\n", "")


def test_one_launcher_serves_all_networks() -> None:
    """A killed launcher takes its hosts along, and the next network gets a new one."""
    first = launcher()
    with Network(lan()) as network:
        process = network["client"].spawn(argv=["sleep", "60"])
        assert launcher() is first
        os.kill(first.pid, signal.SIGKILL)

        assert process.wait(SECONDS) == -signal.SIGKILL
        with pytest.raises(SpawnError, match="its init has ended"):
            network["client"].spawn(argv=["true"])
    with Network(lan()) as network:
        assert network["client"].spawn(argv=["true"]).wait(SECONDS) == 0
    assert launcher() is not first
