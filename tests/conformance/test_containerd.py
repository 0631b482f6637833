"""containerd with berth-oci: `ctr run --runc-binary`, and the CRI plugin with BinaryName, spoken to as a kubelet does."""
import os
import pathlib
import shutil
import subprocess

import images as image_maker
import oci
import oci_peers
import pytest
from berth import wait_until
from oci_containerd import IMAGE, Containerd
from paths import BIN

cri_client = pytest.importorskip("oci_cri", reason="python3-grpcio and python3-protobuf are not installed")

PAUSE = "localhost/pause:latest"
MIB = 1 << 20


def pytest_generate_tests(metafunc):
    metafunc.parametrize("containerd", oci_peers.chosen(), indirect=True, scope="module")


@pytest.fixture(scope="module")
def containerd(request, busybox_archive, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs to be root")
    if not shutil.which("containerd"):
        pytest.skip("no containerd")
    if request.param == "berth-oci" and not (BIN / "berth-oci").exists():
        pytest.skip("no berth-oci")
    pause = image_maker.busybox(tmp_path_factory.mktemp("pause") / "pause.tar", PAUSE, {"Cmd": ["sleep", "100000"]})
    made = Containerd(request.param, busybox_archive, pause, PAUSE)
    yield made
    made.close()
    subprocess.run(["ip", "link", "delete", "conf-cri0"], capture_output=True, check=False)


@pytest.fixture
def idle(containerd):
    yield containerd.idle("idle")
    containerd.remove("idle")


def group_of(containerd, name: str, controller: str, namespace: str = "default") -> pathlib.Path:
    rows = {row.split()[0]: row.split()[1] for row in containerd("tasks", "list", namespace=namespace).stdout.splitlines()[1:]}
    for line in pathlib.Path(f"/proc/{rows[name]}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return oci.CGROUPS / controller / path.lstrip("/")
    raise AssertionError(controller)


def limit(containerd, name: str, controller: str, file: str, **more) -> str:
    return (group_of(containerd, name, controller, **more) / file).read_text().strip()


def test_run(containerd):
    assert containerd.run("one", "echo", "hello").stdout == "hello\n"


@pytest.mark.parametrize("code", [0, 7])
def test_exit_status(containerd, code):
    containerd.run("one", "sh", "-c", f"exit {code}", code=code)


def test_a_program_that_is_not_there(containerd):
    """The shim reads the reason in the runtime's log."""
    done = containerd.run("one", "absent", code=1)
    assert "executable file not found in $PATH" in done.stderr


def test_environment_directory_and_mounts(containerd, tmp_path):
    (tmp_path / "file").write_text("given\n")
    done = containerd.run("one", "sh", "-c", "echo $A; pwd; cat /data/file",
                          options=("--env", "A=b", "--cwd", "/tmp", "--mount",
                                   f"type=bind,src={tmp_path},dst=/data,options=rbind:ro"))
    assert done.stdout.split() == ["b", "/tmp", "given"]


def test_read_only(containerd):
    containerd.run("one", "touch", "/made", options=("--read-only",), code=1)


def test_seccomp(containerd):
    assert containerd.run("one", "grep", "Seccomp:", "/proc/self/status", options=("--seccomp",)).stdout.split()[1] == "2"


def test_at_a_terminal(containerd):
    person = containerd.terminal("run", "--rm", "--tty", *containerd.options(), IMAGE, "one", "sh", "-c", "read line; echo got $line; exit 5")
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 5


def test_exec(containerd, idle):
    assert containerd("tasks", "exec", "--exec-id", "e1", idle, "echo", "inside").stdout == "inside\n"
    containerd("tasks", "exec", "--exec-id", "e2", idle, "sh", "-c", "exit 9", code=9)
    assert "not found" in containerd("tasks", "exec", "--exec-id", "e3", idle, "absent", code=1).stderr


def test_exec_at_a_terminal(containerd, idle):
    person = containerd.terminal("tasks", "exec", "--tty", "--exec-id", "e4", idle, "sh", "-c", "read line; echo got $line; exit 4")
    person.type("hello\n")
    person.expect("got hello")
    assert person.wait() == 4


def test_limits(containerd):
    containerd.idle("limited", "--memory-limit", str(64 * MIB), "--cpus", "0.5")
    try:
        assert limit(containerd, "limited", "memory", "memory.limit_in_bytes") == str(64 * MIB)
        assert limit(containerd, "limited", "cpu", "cpu.cfs_quota_us") == "50000"
    finally:
        containerd.remove("limited")


def test_pause(containerd, idle):
    containerd("tasks", "pause", idle)
    assert containerd.status(idle) == "PAUSED"
    containerd("tasks", "resume", idle)
    assert containerd.status(idle) == "RUNNING"


def test_kill_and_delete(containerd):
    containerd.idle("victim")
    containerd("tasks", "kill", "--signal", "SIGKILL", "victim")
    wait_until(lambda: containerd.status("victim") == "STOPPED")
    assert "137" in containerd("tasks", "delete", "victim").stderr
    containerd("containers", "delete", "victim")


def test_processes(containerd, idle):
    assert len(containerd("tasks", "ps", idle).stdout.splitlines()) == 2


def test_metrics(containerd, idle):
    assert "memory" in containerd("tasks", "metrics", idle).stdout


def test_nothing_is_left(containerd):
    containerd.idle("gone")
    group = group_of(containerd, "gone", "pids")
    containerd.remove("gone")
    wait_until(lambda: not group.exists())
    assert "gone" not in containerd("containers", "list", "--quiet").stdout.split()


# The CRI plugin.


@pytest.fixture(scope="module")
def cri(containerd):
    made = cri_client.Cri(str(containerd.address))
    wait_until(lambda: made("Version").runtime_name == "containerd", timeout=20)
    yield made
    made.close()


class Pod:
    def __init__(self, cri, logs: pathlib.Path, name: str, **linux):
        self.cri, self.logs = cri, logs
        self.config = {"metadata": {"name": name, "uid": name, "namespace": "conf", "attempt": 0}, "log_directory": str(logs)}
        if not linux:
            self.config["hostname"] = name
        if linux:
            self.config["linux"] = linux
        self.id = cri("RunPodSandbox", config=self.config).pod_sandbox_id

    def create(self, name: str, *command, resources: dict | None = None, **more) -> str:
        config = {"metadata": {"name": name, "attempt": 0}, "image": {"image": IMAGE}, "command": list(command), "log_path": f"{name}.log",
                  "linux": {"resources": resources or {}}, **more}
        return self.cri("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config).container_id

    def start(self, name: str, *command, **more) -> str:
        container = self.create(name, *command, **more)
        self.cri("StartContainer", container_id=container)
        return container

    def status(self, container: str):
        return self.cri("ContainerStatus", container_id=container).status

    def wait_exited(self, container: str) -> int:
        wait_until(lambda: self.status(container).state == cri_client.EXITED, timeout=15, every=0.1)
        return self.status(container).exit_code

    def exec(self, container: str, *words):
        return self.cri("ExecSync", container_id=container, cmd=list(words), timeout=20)

    def remove(self) -> None:
        self.cri("StopPodSandbox", pod_sandbox_id=self.id)
        self.cri("RemovePodSandbox", pod_sandbox_id=self.id)


@pytest.fixture(scope="module")
def pod(cri, tmp_path_factory):
    made = Pod(cri, tmp_path_factory.mktemp("logs"), "harbour")
    yield made
    made.remove()


def test_a_pod_on_a_network(cri, pod):
    status = cri("PodSandboxStatus", pod_sandbox_id=pod.id).status
    assert status.state == cri_client.READY and status.network.ip.startswith("10.213.9.")


def test_containers_of_a_pod_share_its_network(cri, pod):
    container = pod.start("net", "sleep", "1000")
    ip = cri("PodSandboxStatus", pod_sandbox_id=pod.id).status.network.ip
    seen = pod.exec(container, "ip", "-4", "addr", "show", "eth0").stdout.decode()
    assert ip in seen
    assert pod.exec(container, "hostname").stdout == b"harbour\n"


def test_a_container_ends(pod):
    container = pod.start("ends", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert pod.wait_exited(container) == 3
    lines = (pod.logs / "ends.log").read_text().splitlines()
    assert sorted(line.split(" ", 3)[1::2] for line in lines) == [["stderr", "err"], ["stdout", "out"]]


def test_a_container_is_created_first(pod):
    container = pod.create("created", "sleep", "1000")
    assert pod.status(container).state == cri_client.CREATED


def test_exec_in_a_pod(pod):
    container = pod.start("exec", "sleep", "1000", envs=[{"key": "A", "value": "b"}])
    done = pod.exec(container, "sh", "-c", "echo $A; echo err >&2; exit 4")
    assert (done.stdout, done.stderr, done.exit_code) == (b"b\n", b"err\n", 4)


def test_stop_in_a_pod(cri, pod):
    container = pod.start("stops", "sleep", "1000")
    cri("StopContainer", container_id=container, timeout=1)
    assert pod.status(container).state == cri_client.EXITED and pod.status(container).exit_code == 137


def test_limits_in_a_pod(containerd, cri, pod):
    container = pod.start("limits", "sleep", "1000", resources={"memory_limit_in_bytes": 64 * MIB, "cpu_period": 100000, "cpu_quota": 30000,
                                                                 "cpu_shares": 300, "cpuset_cpus": "0"})
    k8s = {"namespace": "k8s.io"}
    assert limit(containerd, container, "memory", "memory.limit_in_bytes", **k8s) == str(64 * MIB)
    assert limit(containerd, container, "cpu", "cpu.cfs_quota_us", **k8s) == "30000"
    cri("UpdateContainerResources", container_id=container, linux={"memory_limit_in_bytes": 32 * MIB, "cpu_shares": 200})
    assert limit(containerd, container, "memory", "memory.limit_in_bytes", **k8s) == str(32 * MIB)
    assert limit(containerd, container, "cpu", "cpu.shares", **k8s) == "200"


def test_an_out_of_memory_kill_is_told(pod):
    container = pod.start("greedy", "sh", "-c", "sleep 0.5; x=$(head -c 100000000 /dev/zero | tr '\\0' a)", resources={"memory_limit_in_bytes": 16 * MIB})
    assert pod.wait_exited(container) == 137
    assert pod.status(container).reason == "OOMKilled"


def test_stats_of_a_container(cri, pod):
    container = pod.start("stats", "sh", "-c", "while :; do :; done")
    wait_until(lambda: cri("ContainerStats", container_id=container).stats.cpu.usage_core_nano_seconds.value > 0, timeout=20, every=0.5)
    cri("StopContainer", container_id=container, timeout=1)


def test_a_container_is_removed(cri, pod):
    container = pod.start("removed", "sleep", "1000")
    cri("StopContainer", container_id=container, timeout=1)
    cri("RemoveContainer", container_id=container)
    with pytest.raises(cri_client.grpc.RpcError):
        cri("ContainerStatus", container_id=container)


def test_a_program_that_is_not_there_in_a_pod(cri, pod):
    container = pod.create("absent", "absent")
    with pytest.raises(cri_client.grpc.RpcError) as refusal:
        cri("StartContainer", container_id=container)
    assert "executable file not found" in refusal.value.details()


def test_a_pod_on_the_hosts_network(cri, tmp_path):
    made = Pod(cri, tmp_path, "host", security_context={"namespace_options": {"network": cri_client.NODE}})
    try:
        container = made.start("seer", "sleep", "1000")
        assert made.exec(container, "readlink", "/proc/self/ns/net").stdout.decode().strip() == os.readlink("/proc/self/ns/net")
    finally:
        made.remove()


def test_a_pod_goes(cri, tmp_path):
    made = Pod(cri, tmp_path, "passing")
    made.start("inside", "sleep", "1000")
    made.remove()
    with pytest.raises(cri_client.grpc.RpcError):
        cri("PodSandboxStatus", pod_sandbox_id=made.id)
