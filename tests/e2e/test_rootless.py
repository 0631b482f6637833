"""berth as an ordinary user: an account made for these tests, without any privilege."""
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest
from berth import Berth
from paths import BIN

NAME = "berth-tester"
IMAGE = "localhost/busybox:latest"


def account_exists() -> bool:
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="module")
def user():
    if os.geteuid() != 0:
        pytest.skip("making an account needs root")
    if not shutil.which("newuidmap"):
        pytest.skip("no newuidmap (Debian's package uidmap)")
    made = not account_exists()
    if made:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", NAME], check=True, capture_output=True)
    entry = pwd.getpwnam(NAME)
    yield entry
    if made:
        subprocess.run(["userdel", "--remove", NAME], check=False, capture_output=True)


def probe(user) -> str:
    """Why this machine gives ordinary users no user namespaces; empty if it does."""
    done = subprocess.run([*as_user(user), "unshare", "--user", "--map-root-user", "true"], capture_output=True, text=True,
                          check=False)
    return done.stderr.strip()


def as_user(user) -> list[str]:
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--inh-caps=-all",
            "env", "-i", f"HOME={user.pw_dir}", f"USER={user.pw_name}", "PATH=/usr/local/bin:/usr/bin:/bin"]


@pytest.fixture(scope="module")
def rootless(user, busybox_archive):
    if why := probe(user):
        pytest.skip(f"ordinary users get no user namespace here: {why}")
    root = pathlib.Path(user.pw_dir) / "store"
    archive = pathlib.Path(user.pw_dir) / "busybox.tar"
    shutil.copy(busybox_archive, archive)
    os.chown(archive, user.pw_uid, user.pw_gid)
    programs = pathlib.Path(user.pw_dir) / "bin"  # the checkout may be where others cannot look
    shutil.copytree(BIN, programs, dirs_exist_ok=True)
    os.chown(programs, user.pw_uid, user.pw_gid)
    berth = Berth(root=root, binary_dir=programs, prefix=as_user(user))
    berth("image", "load", "-i", archive, cwd="/")
    yield berth
    berth.remove_all()


def run(berth, *words, **options):
    return berth("run", "--rm", "--network", "none", *words, cwd="/", **options)


def test_a_container_runs(rootless):
    assert run(rootless, IMAGE, "echo", "hello").stdout == "hello\n"


def test_exit_codes(rootless):
    run(rootless, IMAGE, "sh", "-c", "exit 42", code=42)
    run(rootless, IMAGE, "/absent", code=127)


def test_root_inside_is_the_user_outside(rootless, user):
    shared_dir = pathlib.Path(user.pw_dir) / "shared"
    shared_dir.mkdir(exist_ok=True)
    os.chown(shared_dir, user.pw_uid, user.pw_gid)
    run(rootless, "-v", f"{shared_dir}:/data", IMAGE, "sh", "-c", "id -u > /data/made; chmod 600 /data/made")
    made = shared_dir / "made"
    assert made.read_text() == "0\n" and made.stat().st_uid == user.pw_uid


def test_other_users_exist_inside(rootless):
    assert run(rootless, "-u", "tester", IMAGE, "sh", "-c", "id -u; touch /home/tester/x && stat -c %u /home/tester/x").stdout == "1000\n1000\n"


def test_the_image_has_its_owners(rootless):
    assert run(rootless, IMAGE, "stat", "-c", "%u:%g", "/home/tester", "/bin/busybox").stdout == "1000:1000\n0:0\n"


def test_files_can_be_changed_and_deleted(rootless):
    done = run(rootless, IMAGE, "sh", "-c", "rm /etc/os-release && rm -r /home && touch /new && ls /etc /")
    assert "os-release" not in done.stdout and "home" not in done.stdout and "new" in done.stdout


def test_nothing_is_owned_by_the_host(rootless, user):
    """The container has no more rights than the user: root's files stay closed."""
    done = run(rootless, "-v", "/etc:/host-etc:ro", IMAGE, "cat", "/host-etc/shadow", code=1)
    assert "Permission denied" in done.stderr


def test_detached_life(rootless):
    rootless("run", "-d", "--name", "idle", "--network", "none", IMAGE, "sh", "-c", "echo started; sleep 100", cwd="/")
    try:
        rootless.wait_until(lambda: rootless("logs", "idle", cwd="/").stdout == "started\n")
        assert rootless("exec", "idle", "echo", "inside", cwd="/").stdout == "inside\n"
    finally:
        rootless("rm", "-f", "idle", cwd="/")
    assert rootless("ps", "-a", "-q", cwd="/").stdout == ""


def test_limits_that_cannot_hold_are_refused(rootless):
    done = run(rootless, "--memory", "64m", IMAGE, "true", code=None)
    assert done.code == 0 or (done.code == 125 and "memory" in done.stderr), done


def test_the_process_unit(rootless, user):
    assert rootless("run", "--rm", "--unit", "process", "--", "/usr/bin/id", "-un", cwd="/").stdout.strip() in (user.pw_name, "root")


def test_doctor(rootless):
    found = rootless.json("--format", "json", "doctor", cwd="/", code=0)
    present = {row["name"]: row["present"] for row in found["findings"]}
    assert present["/etc/subuid"] and present["newuidmap"] and present["user namespace"]
