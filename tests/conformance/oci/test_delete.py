"""`delete` (runtime.md, Delete)."""
import pathlib

import oci
import pytest
from berth import wait_until


def test_a_stopped_container(container):
    container.started("true")
    container.wait_stopped()
    container.delete()
    container.runtime.fails("state", container.id)


def test_a_running_container_is_refused(container):
    container.started()
    container.runtime.fails("delete", container.id)
    assert container.status == "running"


def test_a_running_container_by_force(container):
    container.started()
    pid = container.pid
    container.delete("--force")
    container.runtime.fails("state", container.id)
    wait_until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_created_container_by_force(container):
    container.create("true")
    container.delete("--force")
    container.runtime.fails("state", container.id)


def test_one_that_ignores_signals(container):
    container.started("sh", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done")
    container.wait_output("ready")
    container.delete("-f")
    container.runtime.fails("state", container.id)


def test_one_that_is_not_there(runtime):
    runtime.fails("delete", "absent")


@pytest.mark.needs("does not exist")
def test_the_words_that_clients_look_for(runtime):
    assert "does not exist" in runtime.fails("delete", "absent")


def test_one_that_is_not_there_by_force(runtime):
    runtime("delete", "--force", "absent")


def test_control_groups_go(container):
    container.started()
    group = container.cgroup("pids")
    assert group.is_dir()
    container.delete("--force")
    assert not group.exists()


def test_control_groups_made_by_the_container_go(container):
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    if oci.V2:
        container.namespace("cgroup")
    container.started("sh", "-c", f"mkdir -p {oci.INSIDE}/a/b/c && echo made; sleep 1000")
    container.wait_output("made")
    group = container.cgroup("pids")
    assert (group / "a/b/c").is_dir()
    container.delete("--force")
    assert not group.exists()


def test_the_bundle_stays(container):
    container.started("true")
    container.wait_stopped()
    container.delete()
    assert (container.bundle / "config.json").exists() and (container.rootfs / "bin/busybox").exists()


def test_the_id_can_be_used_again(container):
    for text in ("first", "second"):
        container.started("echo", text)
        container.wait_stopped()
        assert container.stdout.read_text() == f"{text}\n"
        container.delete()


def test_processes_without_a_pid_namespace(container):
    """What the program left behind in its control group is ended as well."""
    container.drop_namespace("pid")
    container.started("sh", "-c", "sleep 1000 & echo $!; sleep 1001")
    child = int(container.wait_output("\n"))
    container.delete("--force")
    wait_until(lambda: not alive(child))
