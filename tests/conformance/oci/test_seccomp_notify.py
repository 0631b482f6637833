"""SCMP_ACT_NOTIFY: the listener's descriptor and the state of the process go over `listenerPath`, and a supervisor answers."""
import array
import fcntl
import json
import os
import socket
import struct
import threading

import pytest
from berth import wait_until
from test_seccomp import MKDIR, allow_but, rule

pytestmark = pytest.mark.needs("seccomp notify")

# seccomp.h: _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp); 80 and 24 bytes.
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
RESPONSE = struct.Struct("=QqiI")


class Supervisor:
    """Listens on the socket, and answers each call with a value or an error."""

    def __init__(self, path, answer):
        self.answer, self.states, self.calls = answer, [], 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            data, control, _, _ = peer.recvmsg(65536, socket.CMSG_SPACE(64))
            descriptors = array.array("i")
            for level, kind, content in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    descriptors.frombytes(content[:len(content) // 4 * 4])
            self.states.append((json.loads(data), len(descriptors)))
            threading.Thread(target=self.answer_all, args=(descriptors[0],), daemon=True).start()

    def answer_all(self, listener: int) -> None:
        while True:
            buffer = bytearray(80)
            try:
                fcntl.ioctl(listener, NOTIF_RECV, buffer)
                number, = struct.unpack_from("=Q", buffer)
                self.calls += 1
                value, error = self.answer
                fcntl.ioctl(listener, NOTIF_SEND, RESPONSE.pack(number, value, error, 0))
            except OSError:
                os.close(listener)
                return

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def supervise(container):
    made = []

    def start(answer=(0, 0), **more) -> Supervisor:
        path = container.bundle / "listener"
        made.append(Supervisor(path, answer))
        allow_but(container, rule(MKDIR, "SCMP_ACT_NOTIFY"), listenerPath=str(path), **more)
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_supervisor_decides(container, supervise):
    supervisor = supervise(answer=(0, -99))
    done = container.run("mkdir", "/made", code=1)
    assert "assign" in done.stderr, "errno 99 is EADDRNOTAVAIL"
    assert supervisor.calls == 1


def test_the_supervisor_makes_it_succeed(container, supervise):
    supervise(answer=(0, 0))
    container.run("mkdir", "/made")
    assert not (container.rootfs / "made").exists(), "the call itself was not made"


def test_the_state_that_it_gets(container, supervise):
    """config-linux.md, Container Process State."""
    supervisor = supervise(listenerMetadata="harbour")
    container.started("sh", "-c", "mkdir /made; sleep 1000")
    (state, descriptors), = wait_until(lambda: supervisor.states)
    assert state["ociVersion"] and state["metadata"] == "harbour" and state["pid"] == container.pid
    assert state["fds"] == ["seccompFd"] and descriptors == 1
    assert state["state"]["id"] == container.id and state["state"]["bundle"] == str(container.bundle)
    assert state["state"]["status"] in ("creating", "created")


def test_exec_gets_its_own_listener(container, supervise):
    supervisor = supervise(answer=(0, 0))
    container.started()
    container.exec("mkdir", "/made")
    assert wait_until(lambda: len(supervisor.states) == 2) and supervisor.calls == 1
    assert supervisor.states[1][0]["state"]["status"] == "running"


def test_nobody_listens(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_NOTIFY"), listenerPath=str(container.bundle / "absent"))
    container.create_fails()


@pytest.mark.needs("listenerPath required")
def test_no_path(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_NOTIFY"))
    container.create_fails()
