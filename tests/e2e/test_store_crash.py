"""Kill -9 at random moments, again and again: the image store loses nothing that it said it had and leaks nothing."""
import os
import random
import signal
import subprocess
import time

import images as image_maker
import pytest

ROUNDS = int(os.environ.get("BERTH_CRASH_ROUNDS", "40"))
LONGEST_S = 0.15


def image_command(berth, *args) -> list[str]:
    return berth.command(*args, program="berth-image")


def run(berth, *args, code: int | None = 0) -> str:
    done = subprocess.run(image_command(berth, *args), capture_output=True, text=True, timeout=120, check=False,
                          stdin=subprocess.DEVNULL)
    assert code is None or done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def assert_whole(berth) -> None:
    """After the next command has recovered, and garbage is collected, every promise holds."""
    run(berth, "prune", "--force")
    assert run(berth, "check", code=None) == ""
    for directory in ("tmp", "ingest"):
        assert os.listdir(berth.root / directory) == []


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> list:
    """Three images that share a layer; the others hold enough to be caught in the middle."""
    base = image_maker.Layer().directory("etc").file("etc/name", "base").bytes()
    made = []
    for number in range(3):
        own = image_maker.Layer()
        for index in range(300):
            own.file(f"data/{number}-{index}", random.Random(number * 1000 + index).randbytes(4000))
        path = tmp_path_factory.mktemp("crash") / f"image{number}"
        image_maker.write_layout(path, [base, own.bytes()], f"localhost/crash{number}:1")
        made.append(path)
    return made


def crash_one(berth, rng: random.Random, archives: list) -> None:
    """Starts a few commands at once and kills each at a moment of its own."""
    choices = [
        ["load", "-q", "-i", archives[rng.randrange(3)]],
        ["load", "-q", "-i", archives[rng.randrange(3)]],
        ["tag", f"localhost/crash{rng.randrange(3)}:1", f"localhost/other{rng.randrange(3)}:1"],
        ["rm", "--force", f"localhost/crash{rng.randrange(3)}:1"],
        ["prune", "--force", "--all"],
    ]
    started = []
    for args in rng.sample(choices, 2):
        started.append(subprocess.Popen(image_command(berth, *args), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for process in started:
        time.sleep(rng.random() * LONGEST_S)
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_kill_at_any_moment_loses_and_leaks_nothing(berth, archives):
    seed = int(os.environ.get("BERTH_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"BERTH_CRASH_SEED={seed}")
    rng = random.Random(seed)
    run(berth, "load", "-q", "-i", archives[0])
    run(berth, "tag", "localhost/crash0:1", "localhost/kept:1")
    for _ in range(ROUNDS):
        crash_one(berth, rng, archives)
        problems = [line for line in run(berth, "check", code=None).splitlines()
                    if "without record" not in line and "a process that is gone" not in line]
        assert problems == [], "a row must never be without its file"
    for archive in archives:
        run(berth, "load", "-q", "-i", archive)
    assert_whole(berth)
    listed = run(berth, "--format", "{{.Name}}", "ls").split()
    assert {f"localhost/crash{number}:1" for number in range(3)} <= set(listed)


def test_everything_goes_in_the_end(berth, archives):
    rng = random.Random(7)
    for _ in range(5):
        crash_one(berth, rng, archives)
    run(berth, "prune", "--force", "--all")
    assert_whole(berth)
    assert os.listdir(berth.root / "layers") == []
    assert os.listdir(berth.root / "blobs" / "sha256") == []


def test_the_check_can_fail(berth, archives):
    """The crash test is worth as much as its check: damage of each kind must be seen."""
    run(berth, "load", "-q", "-i", archives[0])
    blob = next((berth.root / "blobs" / "sha256").iterdir())
    content = blob.read_bytes()
    blob.write_bytes(b"x" + content[1:])
    assert "another digest" in run(berth, "check", code=1)
    blob.unlink()
    assert "missing" in run(berth, "check", code=1)
    blob.write_bytes(content)
    (berth.root / "layers" / ("0" * 64)).mkdir()
    assert "without record" in run(berth, "check", code=1)
