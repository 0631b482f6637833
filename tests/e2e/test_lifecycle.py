"""Detached instances, from create to rm, for both units that run here."""
import os
import re
import signal
import time

import pytest

IMAGE = "localhost/busybox:latest"
both_units = pytest.mark.parametrize("unit", ["container", "process"])

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


@pytest.fixture
def name(shared, request):
    chosen = re.sub(r"[^a-zA-Z0-9_.-]", "-", request.node.name)[:100]
    yield chosen
    shared("rm", "-f", chosen)


def detached(berth, name, unit, *command, options=()):
    return berth("run", "-d", "--name", name, "--unit", unit, *options, IMAGE, *command).stdout.strip()


def status(berth, name):
    return berth.inspect(name)["State"]["Status"]


TRAP = "trap 'echo got term; exit 7' TERM; echo ready; while :; do sleep 0.05; done"


@both_units
def test_a_detached_instance_lives_on_and_is_stopped(shared, name, unit):
    instance_id = detached(shared, name, unit, "sh", "-c", TRAP)
    assert re.fullmatch("[0-9a-f]{64}", instance_id)
    assert status(shared, name) == "running"
    shared.wait_until(lambda: "ready" in shared("logs", name).stdout)
    assert shared("stop", name).stdout.strip() == name
    state = shared.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    assert shared("logs", name).stdout == "ready\ngot term\n"
    shared("rm", name)
    assert "no instance is called" in shared("inspect", name, code=125).stderr


@both_units
def test_stop_kills_what_does_not_listen(shared, name, unit):
    detached(shared, name, unit, "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    began = time.monotonic()
    shared("stop", "-t", "1", name)
    assert 0.9 < time.monotonic() - began < 8
    assert shared.inspect(name)["State"]["ExitCode"] == 137


@both_units
def test_create_start_wait(shared, name, unit):
    shared("create", "--name", name, "--unit", unit, IMAGE, "sh", "-c", "echo hello; exit 3")
    assert status(shared, name) == "created"
    assert shared("start", "--attach", name, code=3).stdout == "hello\n"
    assert shared("wait", name).stdout == "3\n"
    shared("start", name)
    shared("wait", name)
    assert shared("logs", name).stdout == "hello\nhello\n"


@both_units
def test_pause_stops_all_progress(shared, name, unit):
    detached(shared, name, unit, "sh", "-c", "while :; do echo tick; sleep 0.02; done")
    shared("pause", name)
    assert status(shared, name) == "paused"
    before = shared("logs", name).stdout
    time.sleep(0.4)
    assert shared("logs", name).stdout == before
    shared("unpause", name)
    shared.wait_until(lambda: len(shared("logs", name).stdout) > len(before))
    shared("pause", name)
    shared("stop", "-t", "1", name)
    assert status(shared, name) == "exited"


@both_units
def test_exec_runs_one_more_program(shared, name, unit):
    detached(shared, name, unit, "sleep", "100", options=["-e", "OWN=yes"])
    done = shared("exec", "-e", "MORE=1", "-w", "/tmp", name, "sh", "-c", "echo $OWN $MORE $PWD; echo err >&2; exit 9", code=9)
    assert (done.stdout, done.stderr) == ("yes 1 /tmp\n", "err\n")
    assert shared("exec", "-i", name, "cat", stdin="typed").stdout == "typed"
    shared("exec", name, "/no/such/program", code=127)
    shared("kill", name)
    assert "running" in shared("exec", name, "true", code=125).stderr or status(shared, name) == "exited"


@both_units
def test_logs_tail_since_and_follow(shared, name, unit):
    detached(shared, name, unit, "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; sleep 0.3; echo last")
    follower = shared("logs", "-f", name)
    assert follower.stdout.endswith("line 5\nlast\n") and follower.stderr == "oops\n"
    assert shared("logs", "--tail", "1", name).stdout == "last\n"
    assert shared("logs", "--since", "1h", name).stdout.count("line") == 5
    assert shared("logs", "--until", "1h", name).stdout == ""
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z line 1\n", shared("logs", "-t", name).stdout)


def test_output_is_complete_and_in_order(shared):
    done = shared("run", "--rm", IMAGE, "sh", "-c", "seq 1 60000")
    assert done.stdout == "".join(f"{i}\n" for i in range(1, 60001))


@both_units
def test_restart_policy_counts_and_gives_up(shared, name, unit):
    detached(shared, name, unit, "sh", "-c", "echo run; exit 4", options=["--restart", "on-failure:2"])
    shared.wait_until(lambda: status(shared, name) == "exited", timeout=20)
    state = shared.inspect(name)["State"]
    assert (state["ExitCode"], state["Restarts"]) == (4, 2)
    assert shared("logs", name).stdout == "run\n" * 3


def test_stop_ends_restarting(shared, name):
    detached(shared, name, "container", "false", options=["--restart", "always"])
    shared.wait_until(lambda: shared.inspect(name)["State"]["Restarts"] >= 2)
    shared("stop", name)
    restarts = shared.inspect(name)["State"]["Restarts"]
    time.sleep(1)
    assert status(shared, name) == "exited" and shared.inspect(name)["State"]["Restarts"] == restarts


def test_names_are_unique_and_can_change(shared, name):
    detached(shared, name, "container", "sleep", "100")
    assert "taken" in shared("run", "-d", "--name", name, IMAGE, "true", code=125).stderr
    shared("rename", name, name + "2")
    assert status(shared, name + "2") == "running"
    shared("rename", name + "2", name)


def test_ps_top_stats_and_events(shared, name):
    instance_id = detached(shared, name, "container", "sleep", "100", options=["--label", "kind=test"])
    assert shared("ps", "-q", "--filter", "label=kind=test").stdout.strip() == instance_id[:12]
    assert shared("--format", "{{.Name}} {{.State}}", "ps").stdout == f"{name} running\n"
    assert "sleep 100" in shared("top", name).stdout
    figures = shared.json("stats", "--no-stream", "--format", "json", name)
    assert figures[0]["Name"] == name and figures[0]["PIDs"] >= 1
    shared("kill", name)
    events = shared("events", "--until", "0s", "--filter", f"instance={instance_id}").stdout
    assert [line.split()[1] for line in events.splitlines()][:2] == ["start", "die"] or "die" in events


def test_rm_refuses_what_runs(shared, name):
    detached(shared, name, "container", "sleep", "100")
    assert "--force" in shared("rm", name, code=125).stderr
    shared("rm", "-f", name)


def test_attach_sees_what_comes_and_detaches(shared, name):
    detached(shared, name, "container", "sh", options=["-i", "-t"])
    terminal = shared.terminal("attach", name)
    terminal.type("echo $((40+2))\n")
    terminal.expect("42")
    terminal.type("\x10\x11")
    assert terminal.wait() == 0
    assert status(shared, name) == "running"


def test_signals_reach_the_workload(shared, name):
    process = shared.start("run", "--name", name, IMAGE, "sh", "-c", TRAP)
    shared.wait_until(lambda: "ready" in shared("logs", name, code=None).stdout)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 7 and out == b"ready\ngot term\n"


def test_a_failed_run_leaves_nothing(shared, name):
    shared("run", "--name", name, IMAGE, "/no/such/program", code=127)
    shared("inspect", name, code=125)
