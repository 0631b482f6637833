"""`linux.namespaces` (config-linux.md, Namespaces), `hostname`, `domainname`."""
import os
import subprocess

import pytest

KINDS = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}


def own(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_new(container, kind):
    container.namespace(kind)
    assert container.create("true").namespace_of(KINDS[kind]) != own(KINDS[kind])


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup"])
def test_the_runtimes_own_where_none_is_listed(container, kind):
    container.drop_namespace(kind)
    if kind == "uts":
        del container.config["hostname"]
    if kind == "network":  # a new sysfs would need the right to this network namespace, which root has
        assert container.config["mounts"]
    assert container.create("true").namespace_of(KINDS[kind]) == own(KINDS[kind])


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup"])
def test_by_path(new_container, kind):
    first, second = new_container(), new_container()
    first.namespace(kind)
    first.started()
    second.namespace(kind, path=f"/proc/{first.pid}/ns/{KINDS[kind]}")
    if kind == "uts":
        del second.config["hostname"]
    second.started()
    assert second.namespace_of(KINDS[kind]) == first.namespace_of(KINDS[kind])


def test_a_joined_pid_namespace(new_container):
    first, second = new_container(), new_container()
    first.started()
    second.namespace("pid", path=f"/proc/{first.pid}/ns/pid")
    assert "sleep 1000" in second.output("ps", "-o", "args")
    assert first.status == "running", "the end of a guest of the namespace is not the end of its owner"


def test_a_network_namespace_kept_by_name(container, tmp_path):
    kept = tmp_path / "net"
    kept.touch()
    subprocess.run(["unshare", f"--net={kept}", "true"], check=True)
    try:
        container.namespace("network", path=str(kept))
        inode = os.stat(kept).st_ino
        assert f"[{inode}]" in container.output("readlink", "/proc/self/ns/net")
    finally:
        subprocess.run(["umount", kept], check=True)


def test_a_new_network_has_its_loopback_up(container):
    assert "LOOPBACK,UP" in container.output("ip", "link", "show", "lo")


def test_a_new_network_has_nothing_else(container):
    assert container.output("ls", "/sys/class/net").split() == ["lo"]


def test_the_first_process_is_1(container):
    assert container.shell("echo $$") == "1\n"


def test_processes_outside_are_not_seen(container):
    seen = [int(pid) for pid in container.shell("ls /proc | grep '^[0-9]'; true").split()]
    assert 1 in seen and len(seen) <= 3 and max(seen) < 50


def test_a_cgroup_namespace_hides_the_path(container):
    container.namespace("cgroup")
    paths = {line.split(":")[2] for line in container.output("cat", "/proc/self/cgroup").split()}
    assert paths == {"/"}


@pytest.mark.needs("double namespaces refused")
def test_a_kind_may_be_listed_once(container):
    """config-linux.md: an error on duplicate kinds."""
    container.linux["namespaces"].append({"type": "uts"})
    assert "uts" in container.create_fails()


def test_an_unknown_kind(container):
    container.namespace("harbour")
    container.create_fails()


def test_a_path_that_is_not_there(container):
    container.namespace("network", path="/proc/self/ns/absent")
    container.create_fails()


@pytest.mark.needs("kind of a namespace's path checked")
def test_a_path_of_another_kind(container):
    container.namespace("network", path="/proc/self/ns/uts")
    container.create_fails()


def test_a_path_that_is_no_namespace(container):
    container.namespace("network", path="/etc/passwd")
    container.create_fails()


def test_hostname(container):
    container.config["hostname"] = "harbour"
    assert container.output("hostname") == "harbour\n"


def test_the_host_keeps_its_name(container):
    before = os.uname().nodename
    container.config["hostname"] = "elsewhere"
    container.run("true")
    assert os.uname().nodename == before


@pytest.mark.needs("hostname needs a namespace")
def test_a_hostname_without_a_namespace_of_its_own(container):
    container.drop_namespace("uts")
    container.config["hostname"] = os.uname().nodename  # so that a runtime that obeys changes nothing
    container.create_fails()


@pytest.mark.needs("domainname")
def test_domainname(container):
    container.config["domainname"] = "example.org"
    assert container.output("cat", "/proc/sys/kernel/domainname") == "example.org\n"


@pytest.mark.needs("time namespaces")
def test_time(container):
    """config-linux.md, Offset for Time Namespace."""
    container.namespace("time")
    container.linux["timeOffsets"] = {"monotonic": {"secs": 172800, "nanosecs": 0}, "boottime": {"secs": 604800, "nanosecs": 500000000}}
    with open("/proc/uptime", encoding="utf-8") as file:
        uptime = float(file.read().split()[0])
    inside = float(container.output("cat", "/proc/uptime").split()[0])
    assert 604800 <= inside - uptime <= 604800 + 30
    assert container.output("cat", "/proc/self/timens_offsets").split()[:3] == ["monotonic", "172800", "0"]


@pytest.mark.needs("time namespaces")
def test_time_offsets_need_a_new_namespace(container):
    container.linux["timeOffsets"] = {"monotonic": {"secs": 1}}
    container.create_fails()


@pytest.mark.needs("time namespaces")
def test_time_by_path(new_container):
    first, second = new_container(), new_container()
    first.namespace("time")
    first.linux["timeOffsets"] = {"boottime": {"secs": 604800}}
    first.started()
    second.namespace("time", path=f"/proc/{first.pid}/ns/time")
    assert float(second.output("cat", "/proc/uptime").split()[0]) > 604800


@pytest.mark.needs("time namespaces")
def test_exec_has_the_same_time(container):
    container.namespace("time")
    container.linux["timeOffsets"] = {"boottime": {"secs": 604800}}
    container.started()
    assert float(container.exec("cat", "/proc/uptime").stdout.split()[0]) > 604800
