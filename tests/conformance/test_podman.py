"""podman with berth-oci as its runtime (`--runtime`): run, exec, stop, limit, pause, logs, inspect, health, remove; on CNI networks."""
import json
import os
import pathlib
import shutil
import urllib.request

import oci
import oci_peers
import pytest
from berth import wait_until
from oci_podman import IMAGE, LIMITS, Podman
from paths import BIN

MIB = 1 << 20


def pytest_generate_tests(metafunc):
    metafunc.parametrize("podman", oci_peers.chosen(), indirect=True, scope="module")


@pytest.fixture(scope="module")
def podman(request, busybox_archive):
    if os.geteuid() != 0:
        pytest.skip("needs to be root; test_podman_rootless.py is for ordinary users")
    if not shutil.which("podman"):
        pytest.skip("no podman")
    if request.param == "berth-oci" and not (BIN / "berth-oci").exists():
        pytest.skip("no berth-oci")
    made = Podman(request.param, busybox_archive)
    yield made
    made.close()


@pytest.fixture
def idle(podman):
    name = podman.idle()
    yield name
    podman.remove(name)


def group_of(podman, name: str, controller: str) -> pathlib.Path:
    pid = podman.inspect(name)["State"]["Pid"]
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return oci.CGROUPS / controller / path.lstrip("/")
    raise AssertionError(controller)


def test_run(podman):
    assert podman.run(IMAGE, "echo", "hello").stdout == "hello\n"


def test_the_runtime_is_the_one_asked_for(podman, idle):
    assert podman.inspect(idle)["OCIRuntime"] == podman.program


def test_input(podman):
    assert podman.run("--interactive", IMAGE, "tr", "a-z", "A-Z", stdin="hello\n").stdout == "HELLO\n"


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_status(podman, code):
    podman.run(IMAGE, "sh", "-c", f"exit {code}", code=code)


@pytest.mark.parametrize("words, code", [(["absent"], 127), (["/bin/absent"], 127), (["/etc/passwd"], 126), (["/etc"], 126)])
def test_programs_that_cannot_run(podman, words, code):
    """podman reads the runtime's message for these."""
    podman.run(IMAGE, *words, code=code)


def test_without_low_limits(podman):
    """podman's own defaults, which the peers cannot give where root lacks CAP_SYS_RESOURCE."""
    if podman.runtime != "berth-oci" and not oci_peers.has_capability(24):
        pytest.skip(f"{podman.runtime}: fails without CAP_SYS_RESOURCE")
    podman.run(IMAGE, "true", limits=False)


def test_environment_user_and_directory(podman):
    done = podman.run("--env", "A=b", "--user", "tester", "--workdir", "/tmp", IMAGE, "sh", "-c", "echo $A; id -u; pwd")
    assert done.stdout.split() == ["b", "1000", "/tmp"]


def test_volumes(podman, tmp_path):
    (tmp_path / "file").write_text("given\n")
    done = podman.run("--volume", f"{tmp_path}:/data", "--volume", f"{tmp_path}:/fixed:ro", "--tmpfs", "/scratch:size=1m", IMAGE,
                      "sh", "-c", "cat /data/file; echo new >/data/made; touch /fixed/x 2>/dev/null || echo refused; touch /scratch/x")
    assert done.stdout == "given\nrefused\n" and (tmp_path / "made").read_text() == "new\n"


def test_read_only(podman):
    assert "Read-only" in podman.run("--read-only", IMAGE, "touch", "/made", code=1).stderr


def test_capabilities_and_filters(podman):
    done = podman.run("--cap-drop", "all", "--cap-add", "kill", "--security-opt", "no-new-privileges", IMAGE,
                      "grep", "-E", "CapEff|NoNewPrivs|Seccomp:", "/proc/self/status")
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["0000000000000020", "1", "2"]


def test_privileged(podman):
    podman.run("--privileged", IMAGE, "sh", "-c", "mount -t tmpfs tmpfs /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs tmpfs /mnt")


def test_init(podman):
    assert podman.run("--init", IMAGE, "cat", "/proc/1/cmdline").stdout.startswith("/run/podman-init")


def test_hostname_and_sysctl(podman):
    done = podman.run("--hostname", "harbour", "--sysctl", "net.ipv4.ip_forward=1", IMAGE, "sh", "-c",
                      "hostname; cat /proc/sys/net/ipv4/ip_forward")
    assert done.stdout.split() == ["harbour", "1"]


def test_devices(podman):
    podman.run("--device", "/dev/fuse:/dev/harbour", IMAGE, "sh", "-c", "head -c 0 /dev/harbour")


def test_user_namespaces(podman):
    done = podman.run("--uidmap", "0:200000:5000", "--gidmap", "0:300000:5000", IMAGE, "cat", "/proc/self/uid_map", "/proc/self/gid_map")
    assert done.stdout.split() == ["0", "200000", "5000", "0", "300000", "5000"]


def test_limits(podman):
    name = podman.idle("--memory", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cpu-shares", "300",
                       "--cpuset-cpus", "0")
    try:
        assert (group_of(podman, name, "memory") / "memory.limit_in_bytes").read_text().strip() == str(64 * MIB)
        assert (group_of(podman, name, "pids") / "pids.max").read_text().strip() == "50"
        assert (group_of(podman, name, "cpu") / "cpu.cfs_quota_us").read_text().strip() == "50000"
        assert (group_of(podman, name, "cpu") / "cpu.shares").read_text().strip() == "300"
        assert (group_of(podman, name, "cpuset") / "cpuset.cpus").read_text().strip() == "0"
    finally:
        podman.remove(name)


def test_a_limit_on_memory_is_kept(podman):
    name = "greedy"
    podman("run", "--name", name, "--network", "none", "--memory", "16m", "--memory-swap", "16m", IMAGE, "sh", "-c",
           "x=$(head -c 100000000 /dev/zero | tr '\\0' a)", code=137)
    podman.remove(name)


def test_update(podman, idle):
    done = podman("update", "--memory", "32m", idle, code=None)
    if "unrecognized command" in done.stderr or "unknown" in done.stderr:
        pytest.skip("this podman has no `update`")
    assert (group_of(podman, idle, "memory") / "memory.limit_in_bytes").read_text().strip() == str(32 * MIB)


def test_stats(podman, idle):
    (seen,) = json.loads(podman("stats", "--no-stream", "--format", "json", idle).stdout)
    assert seen["pids"] == "1"


def test_exec(podman, idle):
    assert podman("exec", idle, "echo", "inside").stdout == "inside\n"
    assert podman("exec", "--user", "tester", "--workdir", "/tmp", "--env", "A=b", idle, "sh", "-c", "id -u; pwd; echo $A").stdout.split() == \
        ["1000", "/tmp", "b"]
    podman("exec", idle, "sh", "-c", "exit 9", code=9)
    podman("exec", idle, "absent", code=127)
    podman("exec", idle, "/etc/passwd", code=126)


def test_exec_input(podman, idle):
    assert podman("exec", "--interactive", idle, "cat", stdin="through\n").stdout == "through\n"


def test_exec_detached(podman, idle):
    podman("exec", "--detach", idle, "touch", "/tmp/made")
    wait_until(lambda: podman("exec", idle, "ls", "/tmp").stdout == "made\n")


def test_exec_at_a_terminal(podman, idle):
    # podman tells conmon the size once the program runs.
    script = "until stty size | grep -v ^0; do sleep 0.1; done; read line; echo got $line; exit 4"
    person = podman.terminal("exec", "--interactive", "--tty", idle, "sh", "-c", script)
    person.expect("24 80")
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 4


def test_run_at_a_terminal(podman):
    person = podman.terminal("run", "--rm", "--interactive", "--tty", "--network", "none", *LIMITS, IMAGE, "sh", "-c",
                             "tty; read line; echo got $line; exit 5")
    person.expect("/dev/pts/")
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 5


def test_pause(podman, idle):
    podman("pause", idle)
    assert podman.inspect(idle)["State"]["Status"] == "paused"
    podman("exec", idle, "true", code=255)
    podman("unpause", idle)
    assert podman.inspect(idle)["State"]["Status"] == "running"
    podman("exec", idle, "true")


def test_stop(podman):
    name = podman.idle()
    podman("stop", "--time", "1", name)
    state = podman.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    podman("start", name)
    assert podman.inspect(name)["State"]["Status"] == "running"
    podman.remove(name)


def test_a_polite_stop(podman):
    podman("run", "--detach", "--name", "polite", "--network", "none", IMAGE, "sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.05; done")
    podman("stop", "--time", "10", "polite")
    assert podman.inspect("polite")["State"]["ExitCode"] == 6
    podman.remove("polite")


def test_kill(podman, idle):
    podman("kill", "--signal", "KILL", idle)
    assert podman("wait", idle).stdout.strip() == "137"


def test_restart(podman, idle):
    before = podman.inspect(idle)["State"]["Pid"]
    podman("restart", "--time", "0", idle)
    assert podman.inspect(idle)["State"]["Pid"] not in (0, before)


def test_logs(podman):
    podman("run", "--name", "talker", "--network", "none", IMAGE, "sh", "-c", "echo out; echo err >&2")
    done = podman("logs", "talker")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    podman.remove("talker")


def test_top(podman, idle):
    assert "sleep 1000" in podman("top", idle, "args").stdout


def test_copy(podman, idle, tmp_path):
    (tmp_path / "file").write_text("carried\n")
    podman("cp", tmp_path / "file", f"{idle}:/tmp/file")
    assert podman("exec", idle, "cat", "/tmp/file").stdout == "carried\n"


def test_health(podman):
    name = podman.idle("--health-cmd", "test -e /tmp/well", "--health-interval", "disable")
    try:
        podman("healthcheck", "run", name, code=1)
        podman("exec", name, "touch", "/tmp/well")
        podman("healthcheck", "run", name)
        assert podman.inspect(name)["State"]["Health"]["Status"] == "healthy"
    finally:
        podman.remove(name)


def test_pods(podman):
    """Containers of a pod share namespaces by path. podman cannot be told lower limits for the pod's own."""
    if podman.runtime != "berth-oci" and not oci_peers.has_capability(24):
        pytest.skip(f"{podman.runtime}: fails without CAP_SYS_RESOURCE")
    pod = podman("pod", "create", "--infra-image", IMAGE, "--infra-command", "/bin/sleep 1000", "--network", "none", "--share",
                 "ipc,net,uts,pid").stdout.strip()
    first = podman("run", "--detach", "--pod", pod, IMAGE, "sleep", "999").stdout.strip()
    done = podman("run", "--rm", "--pod", pod, IMAGE, "ps", "-o", "args")
    assert "sleep 999" in done.stdout and "sleep 1000" in done.stdout
    podman("pod", "stop", "--time", "0", pod)
    assert podman.inspect(first)["State"]["Status"] == "exited"
    podman("pod", "rm", "--force", pod)


def test_two_containers_on_a_network(podman):
    network = podman.network("--subnet", "10.213.7.0/24")
    podman("run", "--detach", "--name", "server", "--network", network, "--ip", "10.213.7.77", IMAGE, "sh", "-c",
           "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www")
    try:
        seen = podman("run", "--rm", "--network", network, IMAGE, "sh", "-c",
                      "for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://10.213.7.77/ && exit 0; sleep 0.3; done; exit 1").stdout
        assert seen == "page\n"
    finally:
        podman.remove("server")


def test_a_published_port(podman):
    network = podman.network("--subnet", "10.213.8.0/24")
    podman("run", "--detach", "--name", "server", "--network", network, "--publish", "127.0.0.1:18473:80", IMAGE, "sh", "-c",
           "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www")

    def fetch() -> str:
        try:
            with urllib.request.urlopen("http://127.0.0.1:18473/", timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    try:
        assert wait_until(fetch) == "page\n"
    finally:
        podman.remove("server")


def test_shared_network(podman, idle):
    done = podman("run", "--rm", "--network", f"container:{idle}", IMAGE, "readlink", "/proc/self/ns/net")
    pid = podman.inspect(idle)["State"]["Pid"]
    assert done.stdout.strip() == os.readlink(f"/proc/{pid}/ns/net")


def test_a_debian_image(podman, debian_archive):
    podman("load", "--quiet", "--input", debian_archive)
    image = "localhost/debian:bookworm"
    done = podman.run(image, "bash", "-c", "set -e; . /etc/os-release; echo $ID; dpkg -l | grep -c ^ii; id")
    assert done.stdout.startswith("debian\n") and "uid=0(root)" in done.stdout


def test_nothing_is_left(podman):
    name = podman.idle()
    identity = podman.inspect(name)["Id"]
    group = group_of(podman, name, "pids")
    assert group.exists()
    podman.remove(name)
    assert not group.exists()
    assert not [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if identity in line]
    assert not list(pathlib.Path("/run").glob(f"*/{identity}"))
