"""`events`: use of resources, for clients that draw it."""
import json
import subprocess

import pytest

pytestmark = pytest.mark.needs("events")


def stats(container) -> dict:
    (line,) = container.runtime("events", "--stats", container.id).stdout.splitlines()
    return json.loads(line)


def test_stats(container):
    container.linux["resources"]["memory"] = {"limit": 64 << 20}
    container.linux["resources"]["pids"] = {"limit": 100}
    container.mount("/big", "tmpfs", "tmpfs")
    container.started("sh", "-c", "head -c 4194304 /dev/zero >/big/file; echo full; sleep 1000 & wait")
    container.wait_output("full")
    event = stats(container)
    assert (event["type"], event["id"]) == ("stats", container.id)
    data = event["data"]
    assert data["pids"] == {"current": 2, "limit": 100}
    assert data["memory"]["usage"]["limit"] == 64 << 20
    assert 4 << 20 <= data["memory"]["usage"]["usage"] < 64 << 20
    assert data["cpu"]["usage"]["total"] > 0
    assert set(data["cpu"]["usage"]) >= {"total", "kernel", "user"}
    assert "raw" in data["memory"] and "blkio" in data


def test_processor_time_grows(container):
    container.started("sh", "-c", "while :; do :; done")
    first = stats(container)["data"]["cpu"]["usage"]["total"]
    from berth import wait_until
    wait_until(lambda: stats(container)["data"]["cpu"]["usage"]["total"] > first + 10_000_000)


def test_a_stream(container):
    container.started()
    command = container.runtime.command("events", "--interval", "100ms", container.id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as events:
        try:
            seen = [json.loads(events.stdout.readline()) for _ in range(3)]
        finally:
            events.kill()
    assert [event["type"] for event in seen] == ["stats"] * 3


def test_an_out_of_memory_kill(container):
    container.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    container.create("sh", "-c", "sleep 0.5; sh -c 'x=$(cat /dev/zero | tr \"\\\\0\" a)'; sleep 1000")
    command = container.runtime.command("events", "--interval", "5s", container.id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as events:
        try:
            container.start()
            seen = []
            while not seen or seen[-1] != "oom":
                line = events.stdout.readline()
                assert line, f"ended without it: {seen}"
                seen.append(json.loads(line)["type"])
        finally:
            events.kill()


def test_no_container(runtime):
    runtime.fails("events", "--stats", "absent")


def test_a_stopped_container(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("events", "--stats", container.id)
