"""Wrong words, missing things, full disks and missing permission: an error that names the cause, and nothing left."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import images
import pytest
from berth import Berth
from leaks import LeakCheck
from scripted_registry import ScriptedRegistry

IMAGE = "localhost/busybox:latest"

# One wrong flag for each command; every command must refuse it in the same way.
COMMANDS = ["run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "wait", "rm", "rename", "update", "ps",
            "inspect", "logs", "attach", "exec", "top", "stats", "events", "version", "completion", "doctor", "pull", "push",
            "images", "image ls", "image rm", "image tag", "image inspect", "image history", "image save", "image load",
            "image import", "image export", "image prune", "image pull", "image push", "image login", "image logout"]

# (arguments, what the message must name)
WRONG = [
    (["frobnicate"], "frobnicate"),
    (["image", "frobnicate"], "frobnicate"),
    (["run"], "IMAGE"),
    (["run", "--unit", "submarine", IMAGE], "submarine"),
    (["run", "--memory", "much", IMAGE], "memory"),
    (["run", "--memory", "-1", IMAGE], "memory"),
    (["run", "--memory", "99999999999999999999g", IMAGE], "memory"),
    (["run", "--cpus", "0", IMAGE], "cpus"),
    (["run", "--cpus", "nan", IMAGE], "cpus"),
    (["run", "--cpus", "100000", IMAGE], "cpus"),
    (["run", "--cpu-weight", "0", IMAGE], "cpu-weight"),
    (["run", "--cpu-weight", "10001", IMAGE], "cpu-weight"),
    (["run", "--cpuset", "0-", IMAGE], "cpuset"),
    (["run", "--cpuset", "7000", IMAGE], "cpuset"),
    (["run", "--pids", "0", IMAGE], "pids"),
    (["run", "--io-max", "nothing", IMAGE], "io-max"),
    (["run", "--restart", "perhaps", IMAGE], "restart"),
    (["run", "--stop-signal", "SIGNOTHING", IMAGE], "SIGNOTHING"),
    (["run", "--stop-timeout", "soon", IMAGE], "stop-timeout"),
    (["run", "--network", "moon", IMAGE], "moon"),
    (["run", "-p", "80:80", IMAGE], "-p"),
    (["run", "-v", "relative:/x", IMAGE], "relative"),
    (["run", "-v", "/tmp:relative", IMAGE], "relative"),
    (["run", "-v", "/no/such/source:/x", IMAGE], "/no/such/source"),
    (["run", "-e", "=x", IMAGE], "=x"),
    (["run", "--env-file", "/no/such/file", IMAGE], "/no/such/file"),
    (["run", "--name", "bad/name", IMAGE], "bad/name"),
    (["run", "--hostname", "h" * 70, IMAGE], "hostname"),
    (["run", "--cap-add", "EVERYTHING", IMAGE], "EVERYTHING"),
    (["run", "--security-opt", "seccomp=/no/profile", IMAGE], "/no/profile"),
    (["run", "--security-opt", "apparmor=x", IMAGE], "apparmor"),
    (["run", "--device", "/dev/nothing-here", IMAGE], "/dev/nothing-here"),
    (["run", "--ulimit", "nofile=lots", IMAGE], "ulimit"),
    (["run", "--ulimit", "cheese=1", IMAGE], "cheese"),
    (["run", "--userns", "x:y", IMAGE], "userns"),
    (["run", "--pull", "sometimes", IMAGE], "sometimes"),
    (["run", "--pull", "never", "localhost/absent:1"], "localhost/absent:1"),
    (["run", "UPPER/case", "true"], "UPPER/case"),
    (["run", "a b", "true"], "a b"),
    (["start", "absent"], "absent"),
    (["stop", "absent"], "absent"),
    (["kill", "absent"], "absent"),
    (["rm", "absent"], "absent"),
    (["logs", "absent"], "absent"),
    (["exec", "absent", "true"], "absent"),
    (["attach", "absent"], "absent"),
    (["wait", "absent"], "absent"),
    (["pause", "absent"], "absent"),
    (["update", "--pids", "5", "absent"], "absent"),
    (["rename", "absent", "other"], "absent"),
    (["top", "absent"], "absent"),
    (["stats", "--no-stream", "absent"], "absent"),
    (["inspect", "absent"], "absent"),
    (["image", "rm", "localhost/absent:1"], "localhost/absent:1"),
    (["image", "inspect", "localhost/absent:1"], "localhost/absent:1"),
    (["image", "history", "localhost/absent:1"], "localhost/absent:1"),
    (["image", "tag", "localhost/absent:1", "localhost/x:1"], "localhost/absent:1"),
    (["image", "tag", IMAGE, "localhost/BAD name"], "BAD name"),
    (["image", "save", "-o", "/no/such/dir/x.tar", IMAGE], "/no/such/dir"),
    (["image", "load", "-i", "/no/such/archive.tar"], "/no/such/archive.tar"),
    (["image", "load", "-i", "/etc/passwd"], "/etc/passwd"),
    (["image", "import", "/etc/passwd", "localhost/x:1"], "/etc/passwd"),
    (["image", "push", "localhost/absent:1"], "localhost/absent:1"),
    (["image", "pull", "127.0.0.1:1/absent:1"], "127.0.0.1:1"),
    (["completion", "tcsh"], "tcsh"),
    (["--log-level", "loud", "version"], "loud"),
    (["--format", "{{", "ps"], "format"),
]


def check_message(done, names: str) -> None:
    assert done.code in (125, 126, 127, 1), done
    assert names in done.stderr, done
    said = [line for line in done.stderr.strip().splitlines() if not line.startswith("retrying in")]
    assert len(said) <= 4, f"too many words: {done}"
    assert not re.search(r"terminate called|Assertion|0x[0-9a-f]{6,}|std::|exception", done.stderr), done


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_flag(shared, command):
    done = shared(*command.split(), "--no-such-flag", "x", "y", code=None)
    assert done.code == 125, done
    check_message(done, "--no-such-flag")
    assert done.stdout == ""


@pytest.mark.parametrize("arguments,names", WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_word(shared, no_leaks, arguments, names):
    done = shared(*arguments, code=None)
    check_message(done, names)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there(shared, command):
    done = shared(*command.split(), "--help")
    assert "Usage" in done.stdout or "usage" in done.stdout.lower(), done


# --- broken images ---

def test_a_damaged_archive_is_refused(berth, tmp_path, busybox_archive):
    whole = busybox_archive.read_bytes()
    for cut in (0, 100, 5000, len(whole) // 2):
        broken = tmp_path / f"cut-{cut}.tar"
        broken.write_bytes(whole[:cut])
        done = berth("image", "load", "-i", broken, code=125)
        assert broken.name in done.stderr, done
    assert berth("image", "ls", "-q").stdout == ""


def test_a_blob_that_lies_about_its_digest_is_refused(berth, tmp_path):
    layout = tmp_path / "layout"
    images.write_layout(layout, [images.busybox_layer()], "localhost/liar:1")
    largest = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    done = berth("image", "load", "-i", layout, code=125)
    assert largest.name[:12] in done.stderr, done
    assert berth("image", "ls", "-q").stdout == ""


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "/../escape"])
def test_a_layer_that_climbs_out_is_refused(berth, tmp_path, name):
    archive = tmp_path / "climb.tar"
    images.write_archive(archive, [images.Layer().file(name, "x").bytes()], "localhost/climb:1")
    done = berth("image", "load", "-i", archive, code=125)
    assert "escape" in done.stderr, done
    assert not [path for path in berth.root.rglob("escape")] and not (berth.root.parent / "escape").exists()


# --- the disk is full ---

@pytest.fixture
def small_disk(tmp_path, as_root):
    """A file system of 6 MiB on a loop device."""
    image, directory = tmp_path / "disk", tmp_path / "small"
    with open(image, "wb") as file:
        file.truncate(6 << 20)
    # Blocks of a whole page, as any larger disk has them: with smaller ones, which mkfs would take here, SQLite does not reserve all of
    # the memory that it maps, and is killed by SIGBUS now and then.
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", "-O", "^has_journal", image], check=True)
    directory.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, directory], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine mounts no loop devices")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def used_bytes(directory: pathlib.Path) -> int:
    found = os.statvfs(directory)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def text_of(size: int) -> bytes:
    """Compresses to a tenth, so that its blob fits where its file does not; no zeros, which would be no blocks."""
    return (b"0123456789abcdef" * 4 + b"\n") * (size // 65)


# What is pulled here is not compressed: blob and file take 4 MiB each.
@pytest.mark.parametrize("command, content, step", [
    ("load", os.urandom(12 << 20), "cannot load"), ("load", text_of(24 << 20), "cannot unpack layer"),
    ("pull", os.urandom(12 << 20), "cannot store blob"), ("pull", text_of(4 << 20), "cannot unpack layer")],
    ids=["load", "load-unpacking", "pull", "pull-unpacking"])
def test_a_full_disk_stops_an_image_and_nothing_stays(command, content, step, small_disk, tmp_path):
    layers = [images.Layer().directory("./").file("small", "x").bytes(), images.Layer().file("large", content).bytes()]
    archive = tmp_path / "large.tar"
    images.write_archive(archive, layers, "localhost/large:1")
    with Berth(root=small_disk / "root") as berth, ScriptedRegistry() as registry:
        registry.serve_layers("large", layers)
        words = ["load", "-i", archive] if command == "load" else ["pull", "--plain-http", f"{registry.host}/large"]
        berth("image", "ls")
        before = used_bytes(small_disk)
        done = berth("image", *words, code=125)
        assert "No space left on device" in done.stderr and "berth image prune" in done.stderr and step in done.stderr, done
        assert berth("image", "ls", "-q").stdout == ""
        assert [path for where in ("blobs/*/*", "layers/*", "ingest/*") for path in berth.root.glob(where)] == []
        assert used_bytes(small_disk) <= before + (256 << 10)


def test_a_full_disk_stops_a_run(small_disk, busybox_archive):
    with Berth(root=small_disk / "root") as berth:
        berth.load(busybox_archive)
        check = LeakCheck(berth.root)
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        done = berth("run", "--rm", IMAGE, "true", code=None)
        assert done.code in (0, 125), done
        if done.code == 125:
            assert "No space left on device" in done.stderr or "full" in done.stderr, done
        filler.unlink()
        berth("run", "--rm", IMAGE, "true")  # and it works again
        check.assert_none()


# --- no permission ---

ORDINARY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def strangers_home():
    home = tempfile.mkdtemp(prefix="berth-home-", dir="/var/tmp")
    os.chown(home, 65534, 65534)
    yield home
    shutil.rmtree(home)


@pytest.mark.parametrize("arguments", [["run", "--rm", IMAGE, "true"], ["ps"], ["image", "ls"], ["image", "load", "-i", "/dev/null"]],
                         ids=lambda value: " ".join(value))
def test_another_users_root_is_refused_and_named(shared, as_root, strangers_home, arguments):
    stranger = Berth(root=shared.root, prefix=[*ORDINARY, "env", "-i", f"HOME={strangers_home}"])
    done = stranger(*arguments, code=None, cwd="/")
    assert done.code == 125, done
    assert str(shared.root) in done.stderr and "ermission denied" in done.stderr, done


def test_a_root_on_a_read_only_disk_is_named(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = Berth(root=small_disk / "root")("image", "ls", code=125)
    assert "Read-only file system" in done.stderr and str(small_disk) in done.stderr, done


def test_a_damaged_database_is_named(berth):
    berth("image", "ls")
    (berth.root / "berth.db").write_bytes(b"this is no database" * 500)
    for extra in ("berth.db-wal", "berth.db-shm"):
        (berth.root / extra).unlink(missing_ok=True)
    done = berth("image", "ls", code=125)
    assert "berth.db" in done.stderr, done
