"""Limits hold, by measurement under real load (stress-ng, direct I/O), for every unit that claims them."""
import os
import pathlib
import re
import shutil
import subprocess
import time

import images
import pytest
from berth import Berth
from leaks import LeakCheck

IMAGE = "localhost/stress:latest"
both_units = pytest.mark.parametrize("unit", ["container", "process"])
pytestmark = pytest.mark.usefixtures("as_root", "nothing_left")
MIB = 1 << 20


def libraries_of(program: str) -> list[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listed)))


@pytest.fixture(scope="module")
def stress(tmp_path_factory):
    """A private root with an image of busybox, stress-ng and the libraries it needs."""
    program = shutil.which("stress-ng")
    if not program:
        pytest.skip("no stress-ng (Debian's package stress-ng)")
    files = {path.lstrip("/"): pathlib.Path(path) for path in [program, *libraries_of(program)]}
    archive = images.busybox(tmp_path_factory.mktemp("stress") / "stress.tar", IMAGE, extra=files)
    with Berth() as made:
        made.load(archive)
        yield made


@pytest.fixture
def nothing_left(stress):
    check = LeakCheck(stress.root)
    yield
    check.assert_none()


def arguments(unit, options, command) -> list:
    return ["run", "--rm", "--unit", unit, *options, IMAGE, *command]


def run(berth, unit, *command, options=(), **more):
    return berth(*arguments(unit, options, command), **more)


def stressor(seconds: int, workers: int = 1) -> list[str]:
    return ["stress-ng", "--temp-path", "/tmp", "--cpu", str(workers), "--cpu-method", "int64", "--timeout", f"{seconds}s",
            "--metrics"]


def cpu_seconds(text: str) -> tuple[float, float]:
    """(processor time, wall time) of stress-ng's own account: "metrc: [1] cpu OPS REAL USR SYS ..."."""
    found = re.search(r"\] cpu +\d+ +([\d.]+) +([\d.]+) +([\d.]+)", text)
    assert found, f"no figures of stress-ng in {text!r}"
    real, user, system = map(float, found.groups())
    return user + system, real


# --- processors ---

@both_units
def test_weights_of_1_to_3_share_one_core(stress, unit):
    """Within 10 %, whatever else the machine does: both compete with it as parts of one group."""
    started = [stress.start(*arguments(unit, ["--cpuset", "0", "--cpu-weight", str(weight)], stressor(8)))
               for weight in (100, 300)]
    light, heavy = (cpu_seconds("".join(text.decode() for text in process.communicate(timeout=60)))[0]
                    for process in started)
    assert all(process.returncode == 0 for process in started)
    assert heavy / light == pytest.approx(3, rel=0.1)


@both_units
def test_half_a_processor(stress, unit):
    done = run(stress, unit, *stressor(6, workers=2), options=["--cpus", "0.5"])
    used, wall = cpu_seconds(done.stdout + done.stderr)
    assert used / wall == pytest.approx(0.5, rel=0.1)


@both_units
def test_cpuset(stress, unit):
    last = os.cpu_count() - 1
    done = run(stress, unit, "grep", "Cpus_allowed_list", "/proc/self/status", options=["--cpuset", str(last)])
    assert done.stdout.split() == ["Cpus_allowed_list:", str(last)]


# --- memory ---

@both_units
def test_the_memory_limit_kills_inside_and_only_inside(stress, unit):
    neighbour = stress.start("run", "--rm", "-i", "--unit", unit, IMAGE, "sh", "-c", "echo up; read line; echo got $line")
    assert neighbour.stdout.readline() == b"up\n"
    limits = ["--memory", "32m", "--swap", "0"]
    killed = run(stress, unit, "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1", options=limits, code=None)
    assert killed.code == 137, killed
    run(stress, unit, "dd", "if=/dev/zero", "of=/dev/null", "bs=16M", "count=1", options=limits)
    answer, _ = neighbour.communicate(b"still here\n", timeout=20)
    assert (neighbour.returncode, answer) == (0, b"got still here\n")


@both_units
def test_stress_within_the_limit_lives(stress, unit):
    run(stress, unit, "stress-ng", "--temp-path", "/tmp", "--vm", "1", "--vm-bytes", "24M", "--timeout", "2s",
        options=["--memory", "64m"])


# --- processes ---

@both_units
def test_pids(stress, unit):
    script = "for i in $(seq 20); do sleep 1 & done; wait"
    done = run(stress, unit, "sh", "-c", script, options=["--pids", "8"], code=None)
    assert done.code != 0 and "fork" in done.stderr, done
    assert run(stress, unit, "sh", "-c", script, options=["--pids", "30"]).stderr == ""


# --- disks ---

@pytest.fixture
def disk(tmp_path):
    """A small ext4 on a loop device that passes direct I/O on: (device, directory)."""
    image, directory = tmp_path / "disk", tmp_path / "mounted"
    directory.mkdir()
    with open(image, "wb") as file:
        file.truncate(192 * MIB)
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", image], capture_output=True, text=True,
                            check=False)
    if device.returncode != 0:
        pytest.skip(f"no loop device: {device.stderr.strip()}")
    device = device.stdout.strip()
    try:
        subprocess.run(["mount", device, directory], check=True)
        yield device, directory
    finally:
        subprocess.run(["umount", directory], check=False)
        subprocess.run(["losetup", "--detach", device], check=False)


def on_disk(unit: str, directory: pathlib.Path, options: list, command: list) -> list:
    """A container gets the directory as a volume; a process without image sees the host's files anyway."""
    if unit == "container":
        volume = ["-v", f"{directory}:/data", "-w", "/data"]
        return ["run", "--rm", "--unit", unit, *volume, *options, IMAGE, "sh", "-c", command]
    return ["run", "--rm", "--unit", unit, "-w", directory, *options, "--", "sh", "-c", command]


@both_units
@pytest.mark.parametrize("limit,command", [
    ("wbps=4m", "dd if=/dev/zero of=file bs=1M count=16 oflag=direct 2>/dev/null"),
    ("rbps=4m", "dd if=source of=/dev/null bs=1M count=16 iflag=direct 2>/dev/null"),
])
def test_io_max(stress, disk, unit, limit, command):
    device, directory = disk
    (directory / "source").write_bytes(os.urandom(16 * MIB))
    os.sync()
    start = time.monotonic()
    stress(*on_disk(unit, directory, ["--io-max", f"{device}:{limit}"], command))
    assert 16 / (time.monotonic() - start) == pytest.approx(4, rel=0.15)


@pytest.fixture
def bfq(disk):
    device, directory = disk
    scheduler = pathlib.Path("/sys/block") / pathlib.Path(device).name / "queue" / "scheduler"
    if "bfq" not in scheduler.read_text():
        pytest.skip("this kernel has no bfq scheduler")
    before = re.search(r"\[(\S+)\]", scheduler.read_text()).group(1)
    scheduler.write_text("bfq")
    yield disk
    scheduler.write_text(before)


@both_units
def test_io_weights_where_the_disk_keeps_them(stress, bfq, unit):
    """bfq keeps the order of weights; the ratio itself it reaches on slow disks only."""
    _, directory = bfq
    for name in ("light", "heavy"):
        (directory / name).write_bytes(os.urandom(48 * MIB))
    os.sync()
    script = "end=$(($(date +%s) + 6)); n=0; while [ $(date +%s) -lt $end ]; do " \
             "dd if={0} of=/dev/null bs=64k iflag=direct 2>/dev/null; n=$((n+1)); done; echo $n"
    started = [stress.start(*on_disk(unit, directory, ["--io-weight", str(weight)], script.format(name)))
               for name, weight in (("light", 10), ("heavy", 1000))]
    light, heavy = (int(process.communicate(timeout=60)[0]) for process in started)
    assert heavy > light


def test_io_weight_without_such_a_disk_is_refused(stress):
    schedulers = [path.read_text() for path in pathlib.Path("/sys/block").glob("*/queue/scheduler")]
    if any("[bfq]" in text for text in schedulers):
        pytest.skip("a disk of this machine uses bfq")
    for unit in ("container", "process"):
        done = run(stress, unit, "true", options=["--io-weight", "200"], code=125)
        assert "--io-weight" in done.stderr and "scheduler" in done.stderr


# --- what makes no sense ---

@both_units
@pytest.mark.parametrize("flag,value", [
    ("--cpus", "0"), ("--cpus", "100000"), ("--cpu-weight", "0"), ("--cpu-weight", "10001"), ("--cpuset", "4000"),
    ("--memory", "1k"), ("--pids", "0"), ("--io-weight", "0"), ("--io-max", "4000:1:rbps=1m"),
])
def test_values_that_make_no_sense_are_refused_by_name(stress, unit, flag, value):
    assert flag in run(stress, unit, "true", options=[flag, value], code=125).stderr


# --- while it runs ---

@both_units
def test_update_changes_the_limit_of_a_running_unit(stress, unit):
    name = f"updated-{unit}"
    stress("run", "-d", "--name", name, "--unit", unit, "--cpus", "0.2", IMAGE, *stressor(60))
    stress("update", "--cpus", "0.8", name)
    start = stats_of(stress, name)
    time.sleep(4)
    end = stats_of(stress, name)
    stress("rm", "-f", name)
    assert (end[0] - start[0]) / (end[1] - start[1]) == pytest.approx(0.8, rel=0.1)


def stats_of(berth, name) -> tuple[float, float]:
    """(processor seconds so far, now), as the kernel counts them for the instance's group."""
    instance = berth.inspect(name)
    identity = instance.get("id") or instance.get("Id")
    for path, scale in ((f"/sys/fs/cgroup/cpuacct/berth/{identity}/cpuacct.usage", 1e9),
                        (f"/sys/fs/cgroup/cpu,cpuacct/berth/{identity}/cpuacct.usage", 1e9)):
        if os.path.exists(path):
            return int(pathlib.Path(path).read_text()) / scale, time.monotonic()
    figures = pathlib.Path(f"/sys/fs/cgroup/berth/{identity}/cpu.stat").read_text().split()
    return int(figures[figures.index("usage_usec") + 1]) / 1e6, time.monotonic()
