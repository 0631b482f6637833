"""kill -9 of the command line, of the monitor and of both, at any moment: instances go on or are reported, nothing leaks."""
import os
import random
import re
import signal
import time

import pytest

IMAGE = "localhost/busybox:latest"
both_units = pytest.mark.parametrize("unit", ["container", "process"])

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")

TICKING = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


@pytest.fixture
def name(shared, request):
    chosen = re.sub(r"[^a-zA-Z0-9_.-]", "-", request.node.name)[:100]
    yield chosen
    shared("rm", "-f", chosen)


def state(berth, name):
    return berth.inspect(name)["State"]


def ticks(berth, name):
    return [int(line) for line in berth("logs", name).stdout.split()]


@both_units
def test_a_killed_command_line_leaves_the_instance_running(shared, name, unit):
    process = shared.start("run", "--name", name, "--unit", unit, IMAGE, "sh", "-c", TICKING)
    process.stdout.read(4)
    process.kill()
    process.wait()
    before = len(ticks(shared, name))
    shared.wait_until(lambda: len(ticks(shared, name)) > before + 5)
    assert state(shared, name)["Status"] == "running"


@both_units
def test_a_killed_monitor_is_replaced_and_no_line_is_lost(shared, name, unit):
    shared("run", "-d", "--name", name, "--unit", unit, IMAGE, "sh", "-c", TICKING)
    for _ in range(3):
        monitor = state(shared, name)["MonitorPid"]
        os.kill(monitor, signal.SIGKILL)
        time.sleep(0.1)
        found = state(shared, name)
        assert found["Status"] == "running" and found["MonitorPid"] != monitor
    shared.wait_until(lambda: len(ticks(shared, name)) > 20)
    seen = ticks(shared, name)
    assert seen == list(range(1, len(seen) + 1))
    shared("stop", "-t", "1", name)
    assert state(shared, name)["Status"] == "exited"


@both_units
def test_monitor_and_unit_killed_together_are_reported(shared, name, unit):
    shared("run", "-d", "--name", name, "--unit", unit, IMAGE, "sleep", "100")
    found = state(shared, name)
    os.kill(found["MonitorPid"], signal.SIGKILL)
    os.kill(found["Pid"], signal.SIGKILL)
    shared.wait_until(lambda: state(shared, name)["Status"] == "exited")  # dying takes a moment
    found = state(shared, name)
    assert found["ExitCode"] == 137 or (found["ExitCode"] is None and "monitor was killed" in found["Error"])
    shared("start", name)
    assert state(shared, name)["Status"] == "running"


def test_a_restart_policy_outlives_the_monitor(shared, name):
    shared("run", "-d", "--restart", "always", "--name", name, IMAGE, "sleep", "100")
    found = state(shared, name)
    os.kill(found["MonitorPid"], signal.SIGKILL)
    os.kill(found["Pid"], signal.SIGKILL)
    shared.wait_until(lambda: state(shared, name)["Status"] == "running" and state(shared, name)["Pid"] != found["Pid"])


def test_the_foreground_outlives_its_monitor(shared, name):
    process = shared.start("run", "--name", name, IMAGE, "sh", "-c", "echo a; sleep 1; echo b; exit 5")
    process.stdout.read(2)
    os.kill(state(shared, name)["MonitorPid"], signal.SIGKILL)
    out, _ = process.communicate(timeout=20)
    assert out == b"b\n"


def test_kill_at_any_moment_of_a_run(shared):
    """The command line dies at random moments; whatever it had made is whole or gone at the next command."""
    chance = random.Random(7)
    for _ in range(25):
        process = shared.start("run", "--rm", IMAGE, "true")
        time.sleep(chance.uniform(0, 0.04))
        process.kill()
        process.wait()
        process.stdout.close(), process.stderr.close(), process.stdin.close()
    shared.wait_until(lambda: shared("ps", "-a", "-q").stdout == "")


def test_monitors_killed_at_any_moment(shared, name):
    chance = random.Random(11)
    for round_number in range(8):
        instance = f"{name}-{round_number}"
        shared("run", "-d", "--rm", "--name", instance, IMAGE, "sleep", "0.2")
        time.sleep(chance.uniform(0, 0.3))
        done = shared("inspect", instance, code=None)
        if done.code == 0:
            monitor = int(re.search(r'"MonitorPid": (\d+)', done.stdout).group(1))
            if monitor:
                try:
                    os.kill(monitor, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    shared.wait_until(lambda: shared("ps", "-a", "-q").stdout == "", timeout=20)
