"""`linux.cgroupsPath` and `linux.resources` with control groups of version 1 (config-linux.md, Control groups)."""
import os
import pathlib
import uuid

import oci
import pytest

MIB = 1 << 20

pytestmark = pytest.mark.skipif(oci.V2, reason="no version 1 hierarchies here")


@pytest.fixture
def resources(container):
    return container.linux["resources"]


def test_every_hierarchy_has_the_process(container):
    container.create("true")
    for line in container.proc("cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number != "0":
            assert path.endswith(container.id), line
            group = oci.CGROUPS / controllers.split(",")[0].removeprefix("name=") / path.lstrip("/")
            assert str(container.pid) in (group / "cgroup.procs").read_text().split()


def test_an_absolute_path(container):
    name = f"/conf-{uuid.uuid4().hex[:8]}/{container.id}"
    container.linux["cgroupsPath"] = name
    container.create("true")
    group = container.cgroup("pids")
    assert group == oci.CGROUPS / "pids" / name.lstrip("/")
    container.delete("--force")
    for parent in oci.CGROUPS.glob(f"*/{pathlib.Path(name).parts[1]}"):
        parent.rmdir()  # made for the container, but not its own


def test_a_path_that_leads_out(container):
    container.linux["cgroupsPath"] = f"../../../../{container.id}"
    try:
        container.create("true")
    except AssertionError:
        return  # refused: as good
    assert container.cgroup("pids").resolve().is_relative_to(oci.CGROUPS / "pids")


def test_memory(container, resources):
    resources["memory"] = {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 64 * MIB, "swappiness": 10}
    container.create("true")
    names = {"memory.limit_in_bytes": str(64 * MIB), "memory.soft_limit_in_bytes": str(32 * MIB), "memory.swappiness": "10"}
    assert {name: container.file(name) for name in names} == names


def test_memory_without_a_bound(container, resources):
    resources["memory"] = {"limit": -1}
    container.create("true")
    assert int(container.file("memory.limit_in_bytes")) > 1 << 60


def test_the_out_of_memory_killer_can_be_kept_away(container, resources):
    resources["memory"] = {"limit": 64 * MIB, "disableOOMKiller": True}
    container.create("true")
    assert "oom_kill_disable 1" in container.file("memory.oom_control")


@pytest.mark.parametrize("limit", [pytest.param(-1, marks=pytest.mark.needs("pids limit of -1")), 0])
def test_processes_without_a_bound(container, resources, limit):
    resources["pids"] = {"limit": limit}
    container.create("true")
    assert container.file("pids.max") == "max"


def test_processor(container, resources):
    resources["cpu"] = {"shares": 300, "quota": 30000, "period": 60000}
    container.create("true")
    names = {"cpu.shares": "300", "cpu.cfs_quota_us": "30000", "cpu.cfs_period_us": "60000"}
    assert {name: container.file(name) for name in names} == names


@pytest.mark.needs("cpu burst")
def test_processor_burst(container, resources):
    resources["cpu"] = {"quota": 30000, "period": 60000, "burst": 10000}
    container.create("true")
    assert container.file("cpu.cfs_burst_us") == "10000"


@pytest.mark.needs("cpu idle")
def test_processor_idle(container, resources):
    resources["cpu"] = {"idle": 1}
    container.create("true")
    assert container.file("cpu.idle") == "1"


def disk() -> tuple[int, int]:
    """Numbers of the whole disk below /var/tmp."""
    device = os.stat("/var/tmp").st_dev
    name = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    whole = name if (name / "queue").exists() else name.parent
    major, minor = (whole / "dev").read_text().split(":")
    return int(major), int(minor)


def test_block_devices(container, resources):
    major, minor = disk()
    where = {"major": major, "minor": minor}
    resources["blockIO"] = {"throttleReadBpsDevice": [{**where, "rate": 1000000}], "throttleWriteBpsDevice": [{**where, "rate": 2000000}],
                            "throttleReadIOPSDevice": [{**where, "rate": 300}], "throttleWriteIOPSDevice": [{**where, "rate": 400}]}
    container.create("true")
    names = {"read_bps": 1000000, "write_bps": 2000000, "read_iops": 300, "write_iops": 400}
    assert {name: container.file(f"blkio.throttle.{name}_device") for name in names} == \
           {name: f"{major}:{minor} {rate}" for name, rate in names.items()}


@pytest.mark.parametrize("name, value", [("hugepageLimits", [{"pageSize": "2MB", "limit": 4 * MIB}]), ("network", {"classID": 1048577}),
                                         pytest.param("rdma", {"mlx5_1": {"hcaHandles": 3}}, marks=pytest.mark.needs("rdma refused"))])
@pytest.mark.skipif(any((oci.CGROUPS / name).exists() for name in ("hugetlb", "net_cls", "rdma")), reason="this machine has the controllers")
def test_limits_without_a_controller(container, resources, name, value):
    resources[name] = value
    container.create_fails()


@pytest.mark.skipif("memory" in oci.V2_CONTROLLERS.read_text() if oci.V2_CONTROLLERS.exists() else True, reason="version 2 has the controller")
def test_version_2_settings(container, resources):
    resources["unified"] = {"memory.high": "1000000"}
    container.create_fails()


def test_settings_that_are_refused(container, resources):
    resources["cpu"] = {"quota": 1, "period": 60000}
    container.create_fails()
    container.runtime.fails("state", container.id)


@pytest.mark.parametrize("options, opened", [(("ro",), False), ((), True)])
def test_the_containers_view(container, options, opened):
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", *options)
    script = "cat /sys/fs/cgroup/pids/cgroup.procs | head -1; mkdir /sys/fs/cgroup/pids/inner && rmdir /sys/fs/cgroup/pids/inner && echo made"
    done = container.run("sh", "-c", script, code=None)
    assert done.stdout.split()[0] == "1" and ("made" in done.stdout) == opened


def test_the_view_shows_the_container_alone(container):
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    assert container.id not in container.output("ls", "/sys/fs/cgroup/pids")


def test_the_view_with_a_namespace(container):
    container.namespace("cgroup")
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    assert container.output("head", "-n", "1", "/sys/fs/cgroup/pids/cgroup.procs") == "1\n"
