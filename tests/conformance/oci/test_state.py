"""`state` (runtime.md, State)."""
import json
import pathlib

import pytest


def test_fields(container):
    container.config["annotations"] = {"org.example.berth": "7", "empty": ""}
    container.create("true")
    state = container.state()
    assert state["ociVersion"]
    assert state["id"] == container.id
    assert state["status"] == "created"
    assert state["bundle"] == str(container.bundle)
    assert state["annotations"]["org.example.berth"] == "7"
    assert pathlib.Path(f"/proc/{state['pid']}/ns/mnt").readlink() != pathlib.Path("/proc/self/ns/mnt").readlink()


def test_a_life(container):
    container.create("sh", "-c", "sleep 1000")
    assert container.status == "created"
    container.start()
    assert container.status == "running"
    container.kill("KILL")
    container.wait_stopped()
    assert container.state().get("pid", 0) == 0
    container.delete()
    container.runtime.fails("state", container.id)


def test_a_created_process_that_died_is_stopped(container):
    container.create("true")
    container.kill("KILL")
    container.wait_stopped()


def test_a_container_that_is_not_there(runtime):
    runtime.fails("state", "absent")


def test_the_words_that_clients_look_for(runtime):
    said = runtime.fails("state", "absent")
    assert "does not exist" in said or "No such file" in said


@pytest.mark.needs("absolute rootfs in the state")
def test_rootfs_and_time(container):
    """Fields that runc and crun add, which clients read."""
    container.create("true")
    state = container.state()
    assert state["rootfs"] == str(container.rootfs)
    assert state["created"].startswith("20") and state["created"].endswith("Z")


def test_it_is_one_document(container):
    container.create("true")
    assert isinstance(json.loads(container.runtime("state", container.id).stdout), dict)


def test_a_zombie_is_stopped(container):
    """The parent of a container's process need not have waited for it."""
    container.started("true")
    container.wait_stopped()
