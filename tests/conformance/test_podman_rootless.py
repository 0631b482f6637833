"""podman as an ordinary user with berth-oci as its runtime."""
import os
import shutil

import accounts
import oci_peers
import pytest
from berth import wait_until
from oci_podman import IMAGE, LIMITS, Podman
from paths import BIN


def pytest_generate_tests(metafunc):
    metafunc.parametrize("podman", oci_peers.chosen(), indirect=True, scope="module")


@pytest.fixture(scope="module")
def podman(request, busybox_archive):
    if os.geteuid() != 0:
        pytest.skip("making an account needs root")
    for program in ("podman", "newuidmap"):
        if not shutil.which(program):
            pytest.skip(f"no {program}")
    if request.param == "berth-oci" and not (BIN / "berth-oci").exists():
        pytest.skip("no berth-oci")
    with accounts.account("berth-podman") as user:
        made = Podman(request.param, busybox_archive, user)
        yield made
        made.close()


@pytest.fixture
def idle(podman):
    name = podman.idle()
    yield name
    podman.remove(name)


def test_run(podman):
    assert podman.run(IMAGE, "sh", "-c", "echo hello; id -u").stdout == "hello\n0\n"


@pytest.mark.parametrize("words, code", [(["sh", "-c", "exit 3"], 3), (["absent"], 127), (["/etc/passwd"], 126)])
def test_exit_status(podman, words, code):
    podman.run(IMAGE, *words, code=code)


def test_root_inside_is_the_user_outside(podman, idle):
    pid = podman.inspect(idle)["State"]["Pid"]
    assert os.stat(f"/proc/{pid}").st_uid == podman.user.pw_uid


def test_users_and_their_files(podman):
    done = podman.run("--user", "tester", IMAGE, "sh", "-c", "id -u; touch /home/tester/x && stat -c %u /home/tester/x")
    assert done.stdout.split() == ["1000", "1000"]


def test_keep_id(podman):
    assert podman.run("--userns", "keep-id", IMAGE, "id", "-u").stdout.strip() == str(podman.user.pw_uid)


def test_exec(podman, idle):
    assert podman("exec", "--user", "tester", idle, "id", "-u").stdout == "1000\n"
    podman("exec", idle, "sh", "-c", "exit 9", code=9)


def test_stop_and_start(podman, idle):
    podman("stop", "--time", "1", idle)
    state = podman.inspect(idle)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    podman("start", idle)
    assert podman.inspect(idle)["State"]["Status"] == "running"


def test_logs(podman):
    podman("run", "--name", "talker", "--network", "none", IMAGE, "sh", "-c", "echo out; echo err >&2")
    done = podman("logs", "talker")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    podman.remove("talker")


def test_at_a_terminal(podman):
    person = podman.terminal("run", "--rm", "--interactive", "--tty", "--network", "none", *LIMITS, IMAGE, "sh", "-c",
                             "read line; echo got $line; exit 5")
    person.type("hello\n")
    person.expect("got hello", timeout=30)
    assert person.wait() == 5


def test_a_network(podman):
    """slirp4netns, the way of ordinary users to a network."""
    assert "10.0.2." in podman("run", "--rm", "--network", "slirp4netns", IMAGE, "ip", "-4", "addr").stdout


def test_a_cni_network(podman):
    network = podman.network("--subnet", "10.213.11.0/24")
    podman("run", "--detach", "--name", "server", "--network", network, "--ip", "10.213.11.77", IMAGE, "sh", "-c",
           "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www")
    try:
        script = "for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://10.213.11.77/ && exit 0; sleep 0.3; done; exit 1"
        assert podman("run", "--rm", "--network", network, IMAGE, "sh", "-c", script).stdout == "page\n"
    finally:
        podman.remove("server")


def test_pause(podman, idle):
    done = podman("pause", idle, code=None)
    if "cgroup V1" in done.stderr:
        pytest.skip("podman itself: " + done.stderr.strip())
    podman("unpause", idle)


def test_nothing_is_left(podman):
    name = podman.idle()
    pid = podman.inspect(name)["State"]["Pid"]
    podman.remove(name)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert podman("ps", "--all", "--quiet").stdout == ""
