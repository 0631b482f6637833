"""`linux.cgroupsPath` and `linux.resources` with control groups of version 2 (config-linux.md, Control groups, and the kernel's
admin-guide/cgroup-v2). They run in a guest: tests/conformance/test_oci_v2.py."""
import os
import pathlib
import uuid

import oci
import pytest

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not oci.V2, reason="version 2 is not alone here")


@pytest.fixture
def resources(container):
    return container.linux["resources"]


def files(container, names) -> dict[str, str]:
    return {name: container.file(name) for name in names}


def test_the_group_has_the_process(container):
    container.create("true")
    assert container.cgroup("memory").name == container.id
    assert container.file("cgroup.procs").split() == [str(container.pid)]


def test_an_absolute_path(container):
    name = f"/conf-{uuid.uuid4().hex[:8]}/{container.id}"
    container.linux["cgroupsPath"] = name
    container.create("true")
    assert container.cgroup("memory") == oci.CGROUPS / name.lstrip("/")
    container.delete("--force")
    (oci.CGROUPS / pathlib.Path(name).parts[1]).rmdir()  # made for the container, but not its own


def test_a_path_that_leads_out(container):
    container.linux["cgroupsPath"] = f"../../../../{container.id}"
    try:
        container.create("true")
    except AssertionError:
        return  # refused: as good
    assert container.cgroup("memory").resolve().is_relative_to(oci.CGROUPS)


def test_memory(container, resources):
    resources["memory"] = {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 96 * MIB}
    container.create("true")
    wanted = {"memory.max": str(64 * MIB), "memory.low": str(32 * MIB), "memory.swap.max": str(32 * MIB)}
    assert files(container, wanted) == wanted


def test_memory_without_a_bound(container, resources):
    resources["memory"] = {"limit": -1}
    container.create("true")
    assert container.file("memory.max") == "max"


def test_processor(container, resources):
    resources["cpu"] = {"shares": 300, "quota": 30000, "period": 60000}
    container.create("true")
    wanted = {"cpu.weight": oci.shares(300), "cpu.max": "30000 60000"}
    assert files(container, wanted) == wanted


@pytest.mark.needs("cpu burst")
def test_processor_burst(container, resources):
    resources["cpu"] = {"quota": 30000, "period": 60000, "burst": 10000}
    container.create("true")
    assert container.file("cpu.max.burst") == "10000"


@pytest.mark.needs("cpu idle")
def test_processor_idle(container, resources):
    resources["cpu"] = {"idle": 1}
    container.create("true")
    assert container.file("cpu.idle") == "1"


def test_block_devices(container, resources):
    device = os.stat("/var/tmp").st_dev
    where = {"major": os.major(device), "minor": os.minor(device)}
    resources["blockIO"] = {"throttleReadBpsDevice": [{**where, "rate": 1000000}], "throttleWriteBpsDevice": [{**where, "rate": 2000000}],
                            "throttleReadIOPSDevice": [{**where, "rate": 300}], "throttleWriteIOPSDevice": [{**where, "rate": 400}]}
    container.create("true")
    assert container.file("io.max") == f"{where['major']}:{where['minor']} rbps=1000000 wbps=2000000 riops=300 wiops=400"


def test_huge_pages(container, resources):
    resources["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 * MIB}]
    container.create("true")
    assert container.file("hugetlb.2MB.max") == str(4 * MIB)


def test_settings_of_version_2(container, resources):
    resources["unified"] = {"memory.high": str(48 * MIB), "pids.max": "77"}
    container.create("true")
    wanted = {"memory.high": str(48 * MIB), "pids.max": "77"}
    assert files(container, wanted) == wanted


@pytest.mark.parametrize("setting", [{"memory.absent": "1"}, {"../memory.high": "1000000"}, {"memory.high": "a lot"}])
def test_settings_that_are_refused(container, resources, setting):
    resources["unified"] = setting
    container.create_fails()
    container.runtime.fails("state", container.id)


@pytest.mark.parametrize("name, value", [pytest.param("network", {"classID": 1048577}, marks=pytest.mark.needs("net_cls refused")),
                                         pytest.param("rdma", {"mlx5_1": {"hcaHandles": 3}}, marks=pytest.mark.needs("rdma refused"))])
def test_limits_that_cannot_be_kept(container, resources, name, value):
    resources[name] = value
    container.create_fails()


@pytest.mark.parametrize("options, opened", [(("ro",), False), ((), True)])
def test_the_containers_view(container, options, opened):
    container.namespace("cgroup")
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", *options)
    script = "cat /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/inner && rmdir /sys/fs/cgroup/inner && echo made"
    done = container.run("sh", "-c", script, code=None)
    assert done.stdout.split()[0] == "1" and ("made" in done.stdout) == opened


def test_the_view_shows_the_container_alone(container):
    container.namespace("cgroup")
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    assert container.id not in container.output("sh", "-c", "ls /sys/fs/cgroup; cat /proc/self/cgroup")


SHARES_OUT = "cd /sys/fs/cgroup && mkdir inner && echo 1 > inner/cgroup.procs && echo +memory > cgroup.subtree_control && echo shared; sleep 1000"


def test_exec_where_the_group_has_shared_out(container):
    """A group that hands controllers on takes no processes of its own; what is run later is beside the first process."""
    container.namespace("cgroup")
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    container.started("sh", "-c", SHARES_OUT)
    container.wait_output("shared")
    assert container.exec("cat", "/proc/self/cgroup").stdout == "0::/inner\n"


def test_delete_where_the_group_has_shared_out(container):
    container.namespace("cgroup")
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    container.started("sh", "-c", SHARES_OUT)
    container.wait_output("shared")
    container.delete("--force")
    assert not oci.groups_named(container.id)
