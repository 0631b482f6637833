"""`process.terminal`, `consoleSize` and the console socket."""
import array
import os
import select
import socket
import termios
import time

import pytest
from berth import Terminal


class ConsoleSocket:
    """Where a client waits for the terminal's other end (runc's docs/terminals.md)."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(1)
        self.socket.settimeout(10)
        self.master = -1

    def receive(self) -> int:
        peer, _ = self.socket.accept()
        _, control, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(64))
        descriptors = array.array("i")
        for level, kind, content in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[:len(content) // 4 * 4])
        peer.close()
        assert len(descriptors) == 1
        self.master = descriptors[0]
        return self.master

    def read_until(self, text: bytes, timeout: float = 10) -> bytes:
        seen, deadline = b"", time.monotonic() + timeout
        while text not in seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; there was {seen!r}"
            seen += os.read(self.master, 4096)
        return seen

    def close(self) -> None:
        self.socket.close()
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def console(container):
    container.process["terminal"] = True
    made = ConsoleSocket(container.bundle / "console.sock")
    yield made
    made.close()


def create(container, console, *args) -> int:
    container.create(*args, options=("--console-socket", console.path))
    return console.receive()


def test_the_socket_gets_the_other_end(container, console):
    create(container, console, "sh", "-c", "tty; echo to the terminal")
    container.start()
    seen = console.read_until(b"to the terminal")
    assert b"/dev/pts/0" in seen or b"/dev/console" in seen


def test_input(container, console):
    master = create(container, console, "sh", "-c", "read line; echo got $line")
    container.start()
    os.write(master, b"hello\n")
    assert console.read_until(b"got hello")


def test_all_three_streams(container, console):
    create(container, console, "sh", "-c", "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all")
    container.start()
    console.read_until(b"all")


def test_it_is_the_controlling_terminal(container, console):
    master = create(container, console, "sh", "-c", "trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.05; done")
    container.start()
    console.read_until(b"ready")
    os.write(master, b"\x03")
    console.read_until(b"interrupted")


def test_dev_console(container, console):
    create(container, console, "sh", "-c", "echo through the console >/dev/console; sleep 1")
    container.start()
    console.read_until(b"through the console")


def test_console_size(container, console):
    container.process["consoleSize"] = {"height": 33, "width": 77}
    create(container, console, "stty", "size")
    container.start()
    console.read_until(b"33 77")


def test_lines_end_as_clients_compare_them(container, console):
    """runc clears ONLCR, and clients rely on it; crun leaves the kernel's way. The one or the other, but whole lines."""
    create(container, console, "sh", "-c", "echo one; echo two; sleep 1")
    container.start()
    assert console.read_until(b"two").replace(b"\r\n", b"\n").strip() == b"one\ntwo"


def test_the_terminal_belongs_to_the_user(container, console):
    container.process["user"] = {"uid": 1000, "gid": 1000}
    create(container, console, "sh", "-c", "stat -c owner:%u $(readlink /proc/self/fd/0)")
    container.start()
    console.read_until(b"owner:1000")


def test_a_terminal_without_a_socket(container):
    container.process["terminal"] = True
    container.create_fails()


@pytest.mark.needs("console socket needs a terminal")
def test_a_socket_without_a_terminal(container):
    console = ConsoleSocket(container.bundle / "console.sock")
    container.save()
    try:
        container.runtime.fails("create", "--bundle", container.bundle, "--console-socket", console.path, container.id)
    finally:
        console.close()


def test_a_socket_that_is_not_there(container):
    container.process["terminal"] = True
    container.save()
    container.runtime.fails("create", "--bundle", container.bundle, "--console-socket", container.bundle / "absent", container.id)


def test_exec_with_a_socket(container):
    container.started()
    console = ConsoleSocket(container.bundle / "console.sock")
    try:
        container.exec("sh", "-c", "[ -t 0 ] && echo a terminal; sleep 1", options=("--tty", "--detach", "--console-socket", console.path))
        console.receive()
        console.read_until(b"a terminal")
    finally:
        console.close()


def test_run_at_a_terminal(container):
    container.process["terminal"] = True
    container.set_args("sh", "-c", "echo ready; read line; echo got $line; exit 5")
    container.save()
    person = Terminal(container.runtime.command("run", "--bundle", container.bundle, container.id))
    person.expect("ready")
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 5


@pytest.mark.needs("window size")
def test_the_size_follows_the_window(container):
    container.process["terminal"] = True
    container.set_args("sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
    container.save()
    person = Terminal(container.runtime.command("run", "--bundle", container.bundle, container.id))
    person.expect("ready")
    person.resize(41, 99)
    os.kill(person.pid, 28)
    person.expect("41 99")
    container.kill("KILL")
    assert person.wait() == 137


def test_exec_at_a_terminal(container):
    container.started()
    person = Terminal(container.runtime.command("exec", "--tty", container.id, "sh", "-c", "read line; echo got $line; exit 6"))
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 6


def test_the_persons_terminal_is_as_before(container, tmp_path):
    """Raw mode ends with the command."""
    container.process["terminal"] = True
    container.set_args("true")
    container.save()
    person = Terminal(container.runtime.command("run", "--bundle", container.bundle, container.id))
    before = termios.tcgetattr(person.master)
    while person._read(time.monotonic() + 5):
        pass
    assert termios.tcgetattr(person.master)[3] == before[3]
    assert person.wait() == 0
