"""`update`: limits of a running container."""
import json

import oci
import pytest

MIB = 1 << 20


@pytest.fixture
def idle(container):
    container.linux["resources"].update({"memory": {"limit": 64 * MIB}, "pids": {"limit": 100}, "cpu": {"shares": 512}})
    return container.started()


def update(container, *words, **options):
    return container.runtime("update", *words, container.id, **options)


def test_memory(idle):
    update(idle, "--memory", str(32 * MIB))
    assert idle.limit("memory") == str(32 * MIB)


def test_memory_reservation(idle):
    update(idle, "--memory-reservation", str(16 * MIB))
    assert idle.limit("memory reservation") == str(16 * MIB)


def test_processes(idle):
    update(idle, "--pids-limit", "50")
    assert idle.limit("processes") == "50"


def test_processor(idle):
    update(idle, "--cpu-share", "256", "--cpu-period", "50000", "--cpu-quota", "20000")
    assert idle.limit("cpu shares") == oci.shares(256)
    assert idle.limit("cpu period") == "50000"
    assert idle.limit("cpu quota") == "20000"


def test_processor_set(idle):
    update(idle, "--cpuset-cpus", "0", "--cpuset-mems", "0")
    assert idle.limit("processors") == "0"


def test_what_is_not_named_stays(idle):
    update(idle, "--pids-limit", "50")
    assert idle.limit("memory") == str(64 * MIB)
    assert idle.limit("cpu shares") == oci.shares(512)


def test_a_document(idle):
    file = idle.bundle / "resources.json"
    file.write_text(json.dumps({"memory": {"limit": 48 * MIB}, "pids": {"limit": 25}, "cpu": {"shares": 128}}))
    update(idle, "--resources", str(file))
    assert idle.limit("memory") == str(48 * MIB)
    assert (idle.limit("processes"), idle.limit("cpu shares")) == ("25", oci.shares(128))


def test_a_document_from_the_input(idle):
    update(idle, "--resources", "-", stdin=json.dumps({"pids": {"limit": 33}}))
    assert idle.limit("processes") == "33"


def test_a_document_that_is_wrong(idle):
    idle.runtime.fails("update", "--resources", "-", idle.id, stdin='{"pids": ')
    assert idle.limit("processes") == "100"


def test_no_container(runtime):
    runtime.fails("update", "--pids-limit", "50", "absent")


@pytest.mark.needs("update of a stopped container refused")
def test_a_stopped_container(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("update", "--pids-limit", "50", container.id)


@pytest.mark.needs(*["checkBeforeUpdate"] * oci.V2)  # version 1 refuses it by itself
def test_a_limit_below_the_use_is_refused_when_asked(container):
    """config-linux.md: with checkBeforeUpdate a memory limit below the present use is not set."""
    container.linux["resources"]["memory"] = {"limit": 64 * MIB}
    container.mount("/big", "tmpfs", "tmpfs")
    container.started("sh", "-c", "head -c 16777216 /dev/zero >/big/file; echo full; sleep 1000")
    container.wait_output("full")
    wish = json.dumps({"memory": {"limit": 4 * MIB, "checkBeforeUpdate": True}})
    container.runtime.fails("update", "--resources", "-", container.id, stdin=wish)
    assert container.limit("memory") == str(64 * MIB)
    assert container.status == "running"
