"""Many containers, started and removed: nothing is left of them. (bench/bench_oci does a thousand.)"""
import json
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

import oci
import pytest

COUNT = 40


@pytest.fixture
def names(container):
    made = [f"{container.id}-{number}" for number in range(COUNT)]
    yield made
    for name in made:
        if (container.runtime.state / name).exists():
            container.runtime("delete", "--force", name, code=None)


def left_of(container) -> list[str]:
    groups = oci.groups_named(f"{container.id}-*")
    mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if container.id in line]
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return groups + mounts + [line for line in listed if container.id in line] + \
        [str(path) for path in container.runtime.state.glob(f"{container.id}-*")]


def start(container, name: str) -> None:
    container.runtime("run", "--detach", "--bundle", container.bundle, name)


def test_one_after_the_other(container, names):
    container.set_args("sleep", "1000")
    container.save()
    for name in names:
        start(container, name)
    listed = {entry["id"]: entry["status"] for entry in json.loads(container.runtime("list", "--format", "json").stdout)}
    assert [listed[name] for name in names] == ["running"] * COUNT
    for name in names:
        container.runtime("delete", "--force", name)
    assert left_of(container) == []


def test_at_once(container, names):
    container.set_args("sleep", "1000")
    container.save()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: start(container, name), names))
        list(pool.map(lambda name: container.runtime("delete", "--force", name), names))
    assert left_of(container) == []
