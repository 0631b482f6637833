"""`pause` and `resume`."""
import time

import pytest


def test_a_paused_container_stands_still(container):
    container.started("sh", "-c", "while :; do echo tick; sleep 0.02; done")
    container.wait_output("tick")
    container.runtime("pause", container.id)
    assert container.status == "paused"
    before = container.stdout.stat().st_size
    time.sleep(0.2)
    assert container.stdout.stat().st_size == before
    container.runtime("resume", container.id)
    assert container.status == "running"
    from berth import wait_until
    wait_until(lambda: container.stdout.stat().st_size > before)


@pytest.mark.needs("pause twice refused")
def test_pausing_twice(container):
    container.started()
    container.runtime("pause", container.id)
    container.runtime.fails("pause", container.id)
    assert container.status == "paused"


@pytest.mark.needs("resume of a running container refused")
def test_resuming_what_runs(container):
    container.started()
    container.runtime.fails("resume", container.id)


def test_pausing_what_is_not_there(runtime):
    runtime.fails("pause", "absent")
    runtime.fails("resume", "absent")


def test_pausing_what_has_stopped(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("pause", container.id)


@pytest.mark.needs("kill of a paused container")
def test_killing_what_is_paused(container):
    """The signal is not lost: v1 delivers it on thawing, so the runtime sees to that."""
    container.started()
    container.runtime("pause", container.id)
    container.kill("KILL")
    container.wait_stopped()


def test_deleting_what_is_paused(container):
    container.started()
    container.runtime("pause", container.id)
    container.delete("--force")
    container.runtime.fails("state", container.id)


@pytest.mark.needs("kill of a paused container")
def test_a_paused_container_that_was_killed_can_be_deleted(container):
    container.started()
    container.runtime("pause", container.id)
    container.kill("KILL")
    container.wait_stopped()
    container.delete()
