"""`list` and `ps`."""
import json
import os
import pathlib


def listed(runtime) -> dict:
    return {entry["id"]: entry for entry in json.loads(runtime("list", "--format", "json").stdout) or []}


def test_json(container):
    container.started()
    entry = listed(container.runtime)[container.id]
    assert entry["pid"] == container.pid
    assert entry["status"] == "running"
    assert entry["bundle"] == str(container.bundle)
    assert entry["created"].startswith("20")


def test_statuses(new_container):
    created, running, stopped = new_container(), new_container(), new_container()
    created.create("true")
    running.started()
    stopped.started("true")
    stopped.wait_stopped()
    found = listed(created.runtime)
    assert [found[one.id]["status"] for one in (created, running, stopped)] == ["created", "running", "stopped"]
    assert found[stopped.id].get("pid", 0) == 0


def test_table(container):
    container.started()
    lines = container.runtime("list").stdout.splitlines()
    assert lines[0].split()[:4] == ["ID", "PID", "STATUS", "BUNDLE"] or lines[0].split()[:2] == ["NAME", "PID"]
    row = next(line.split() for line in lines if line.startswith(container.id))
    assert row[1:3] == [str(container.pid), "running"]


def test_quiet(new_container):
    names = {new_container().create("true").id for _ in range(3)}
    assert names <= set(container_ids(new_container))


def container_ids(new_container) -> list[str]:
    return new_container().runtime("list", "--quiet").stdout.split()


def test_deleted_ones_are_gone(container):
    container.started()
    container.delete("--force")
    assert container.id not in listed(container.runtime)


def test_an_empty_root(runtime, tmp_path):
    done = runtime("list", "-q", options=("--root", tmp_path / "none"))
    assert done.stdout.strip() == ""


def test_ps_json(container):
    container.started("sh", "-c", "sleep 1000 & echo up; wait")
    container.wait_output("up")
    pids = json.loads(container.runtime("ps", "--format", "json", container.id).stdout)
    names = sorted(pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0] for pid in pids)
    assert container.pid in pids and names == ["sh", "sleep"]


def test_ps_table(container):
    container.started()
    lines = container.runtime("ps", container.id).stdout.splitlines()
    assert "PID" in lines[0]
    assert any(str(container.pid) in line.split() for line in lines[1:])


def test_ps_shows_what_exec_started(container):
    container.started()
    container.exec("sleep", "999", options=("--detach",))
    pids = json.loads(container.runtime("ps", "--format", "json", container.id).stdout)
    assert len(pids) == 2 and os.getpid() not in pids


def test_ps_of_none(runtime):
    runtime.fails("ps", "absent")
