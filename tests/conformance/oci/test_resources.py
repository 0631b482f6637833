"""`linux.resources` that both versions of control groups keep (config-linux.md, Control groups)."""
import oci
import pytest

MIB = 1 << 20


@pytest.fixture
def resources(container):
    return container.linux["resources"]


def test_memory_is_kept(container, resources):
    resources["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    container.run("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' a)", code=137)


@pytest.mark.needs("1 MiB of memory")
def test_one_mebibyte_is_enough_to_start(container, resources):
    resources["memory"] = {"limit": MIB, "swap": MIB}
    assert container.output("echo", "small") == "small\n"


def test_processes(container, resources):
    resources["pids"] = {"limit": 20}
    container.create("true")
    assert container.limit("processes") == "20"


def test_processes_are_kept(container, resources):
    resources["pids"] = {"limit": 5}
    done = container.run("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; kill $(jobs -p)", code=None)
    assert "fork" in done.stderr


def test_processor_set(container, resources):
    resources["cpu"] = {"cpus": "0", "mems": "0"}
    container.create("grep", "Cpus_allowed_list", "/proc/self/status")
    assert container.limit("processors") == "0" and container.file("cpuset.mems") == "0"
    container.start()
    assert container.wait_output("\n").split()[1] == "0"


@pytest.mark.parametrize("cpus", ["deep", "1-0", pytest.param("999", marks=pytest.mark.skipif(oci.V2, reason="version 2 waits for it"))])
def test_a_processor_set_that_cannot_be(container, resources, cpus):
    resources["cpu"] = {"cpus": cpus}
    container.create_fails()


@pytest.mark.needs("clean failures")
def test_a_failed_create_leaves_no_group(container, resources):
    resources["cpu"] = {"cpus": "deep"}
    container.create_fails()
    assert not oci.groups_named(container.id)
