"""Attacks that are known of container runtimes, each tried in earnest against a runtime's copy or a host directory of its own."""
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import oci
import pytest
from berth import wait_until
from test_terminal import ConsoleSocket

RENAME_EXCHANGE = 2
PR_SET_CHILD_SUBREAPER = 36
DESCRIPTORS = range(3, 24)

# Holds whatever program of a process that is not busybox it gets to open, and writes to it, and changes its mode, as soon as the
# kernel no longer refuses that because somebody runs it.
HOLDER = r"""
hold() {
  echo held >>/held
  i=0
  while [ $i -lt 60 ]; do
    if echo pwned 2>/dev/null >>/proc/self/fd/9; then echo written >>/result; return; fi
    if chmod 4777 /proc/self/fd/9 2>/dev/null; then echo mode >>/result; return; fi
    [ $1 != 1 ] && [ -e /proc/$1 ] && kill -9 $1 2>/dev/null
    i=$((i+1)); sleep 0.02
  done
  echo refused >>/result
  [ $1 != 1 ] || exit 0
}
: >/ready
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    if [ -e $p/exe ] && ! [ $p/exe -ef /bin/busybox ]; then { hold ${p#/proc/}; } 9<$p/exe; fi 2>/dev/null
  done
done
"""


@pytest.fixture
def victim(runtime):
    """The same runtime as a copy that may be damaged."""
    made = oci.Runtime(runtime.name, runtime.program, runtime.wrapper)
    made.program = shutil.copy(shutil.which(runtime.program), made.directory)
    yield made
    made.close()


@pytest.fixture
def attacked(victim):
    """A container of the victim; in the end the runtime's program must be what it was."""
    program = pathlib.Path(victim.program)
    before = hashlib.sha256(program.read_bytes()).hexdigest(), program.stat().st_mode
    made = victim.container()
    yield made
    assert made.close() == []
    assert (hashlib.sha256(program.read_bytes()).hexdigest(), program.stat().st_mode) == before, "the runtime's program was changed"


def lines(container, name: str) -> list[str]:
    file = container.rootfs / name
    return file.read_text().split() if file.exists() else []


# --- /proc/self/exe (CVE-2019-5736) ---

# A runtime that is run by the container's program: it waits for a reader of the pipe, for ever.
WAITING = ("--log", "/pipe", "state", "x")
DISGUISES = {"link": lambda path: path.symlink_to("/proc/self/exe"), "script": lambda path: path.write_text("#!/proc/self/exe\n")}


def disguise(container, kind: str) -> str:
    path = container.rootfs / "bin/disguise"
    DISGUISES[kind](path)
    if not path.is_symlink():
        path.chmod(0o755)
    os.mkfifo(container.rootfs / "pipe")
    return "/bin/disguise"


def start_holder(container) -> None:
    container.started("sh", "-c", HOLDER)
    wait_until(lambda: (container.rootfs / "ready").exists())


def stop_holder(container, expected: bool) -> None:
    """What became of the programs that it held: none may have been written to. `expected`: that it gets hold of one."""
    if expected:
        wait_until(lambda: lines(container, "held"), 20)
    wait_until(lambda: len(lines(container, "result")) == len(lines(container, "held")), 20)
    (container.rootfs / "stop").touch()
    assert set(lines(container, "result")) <= {"refused"}


@pytest.mark.parametrize("kind", ["link", "script"])
def test_the_runtime_as_the_program_of_exec(attacked, kind):
    program = disguise(attacked, kind)
    start_holder(attacked)
    attacked.exec(program, *(WAITING if kind == "link" else ()), code=None, timeout=20)
    # The others are linked with libraries that the container lacks.
    stop_holder(attacked, expected=kind == "link" and attacked.runtime.name == "berth-oci")


def test_the_runtime_as_the_first_program(attacked, victim):
    """Another container on the same root does the holding: what was started is the first process of its own."""
    attacked.set_args(disguise(attacked, "link"), *WAITING)
    attacked.save()
    if victim("create", "--bundle", attacked.bundle, attacked.id, code=None).code != 0:
        return
    victim("start", attacked.id, code=None)
    if attacked.status != "running":
        return
    holder = victim.container()
    try:
        holder.namespace("pid", path=f"/proc/{attacked.pid}/ns/pid")
        start_holder(holder)
        stop_holder(holder, expected=True)
    finally:
        assert holder.close() == []


def test_holding_what_enters_the_container(attacked):
    """Whoever may trace processes gets hold of the runtime's own in the container while they prepare."""
    for kind in attacked.process["capabilities"].values():
        kind.append("CAP_SYS_PTRACE")
    start_holder(attacked)
    for _ in range(60):
        attacked.exec("true", code=None)
        if lines(attacked, "held"):
            break
    stop_holder(attacked, expected=False)


# --- descriptors and the working directory (CVE-2024-21626) ---

@pytest.fixture
def marker(tmp_path):
    """A program of the host's: seen from a container it is an escape."""
    file = tmp_path / "marker"
    file.write_text("#!/bin/sh\necho escaped\n")
    file.chmod(0o755)
    return file


def ways_out(number: int, marker) -> list[str]:
    return [f"/proc/self/fd/{number}{marker}", f"/proc/self/fd/{number}/../../../../../../..{marker}"]


@pytest.mark.parametrize("through_link", [False, True])
def test_a_working_directory_by_descriptor(new_container, marker, through_link):
    container = new_container()
    for number in DESCRIPTORS:
        place = f"/proc/self/fd/{number}"
        if through_link:
            link = container.rootfs / "work"
            link.unlink(missing_ok=True)
            link.symlink_to(place)
            place = "/work"
        container.process["cwd"] = place
        done = container.run("sh", "-c", f"cat .{marker} ../../../../../../..{marker}", code=None)
        assert "escaped" not in done.stdout
        container.runtime("delete", "--force", container.id, code=None)


def test_a_working_directory_of_exec_by_descriptor(container, marker):
    container.started()
    for number in DESCRIPTORS:
        done = container.exec("sh", "-c", f"cat .{marker} ../../../../../../..{marker}", code=None,
                              options=("--cwd", f"/proc/self/fd/{number}"))
        assert "escaped" not in done.stdout


def test_a_program_by_descriptor(new_container, marker):
    container = new_container()
    for number in DESCRIPTORS:
        for program in ways_out(number, marker):
            assert "escaped" not in container.run(program, code=None).stdout
            container.runtime("delete", "--force", container.id, code=None)


def test_a_program_of_exec_by_descriptor(container, marker):
    container.started()
    for number in DESCRIPTORS:
        for program in ways_out(number, marker):
            assert "escaped" not in container.exec(program, code=None).stdout


def test_descriptors_of_the_caller_stay_outside(container, tmp_path):
    leaked = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        seen = container.run("sh", "-c", "ls -l /proc/self/fd", pass_fds=[leaked]).stdout
        assert str(tmp_path) not in seen
        container.started()
        seen = container.exec("sh", "-c", "ls -l /proc/self/fd", pass_fds=[leaked]).stdout
        assert str(tmp_path) not in seen
    finally:
        os.close(leaked)


# --- mount targets (CVE-2021-30465) ---

class Swapping:
    """Exchanges two names again and again."""

    def __init__(self, one: pathlib.Path, other: pathlib.Path):
        libc = ctypes.CDLL(None)
        names = os.fsencode(one), os.fsencode(other)
        self.done, self.count = threading.Event(), 0

        def swap() -> None:
            while not self.done.is_set():
                self.count += libc.renameat2(-100, names[0], -100, names[1], RENAME_EXCHANGE) == 0
        self.thread = threading.Thread(target=swap, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        assert self.count > 100, "the race did not run"


@pytest.mark.needs("mount targets raced")
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_target_that_is_swapped(new_container, tmp_path, kind):
    shared, outside = tmp_path / "shared", tmp_path / "outside"
    for directory in (shared, outside, shared / "swap"):
        directory.mkdir()
    (shared / "evil").symlink_to(outside)
    container = new_container()
    container.bind(shared, "/shared")
    if kind == "tmpfs":
        container.mount("/shared/swap/made", "tmpfs", "tmpfs")
    else:
        container.bind(tmp_path, "/shared/swap/made")
    with Swapping(shared / "swap", shared / "evil"):
        for _ in range(25):
            container.run("true", code=None)
            container.runtime("delete", "--force", container.id, code=None)
    assert list(outside.iterdir()) == [], "something was made outside of the container"


def test_a_mount_target_behind_a_link_out(container, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (container.rootfs / "way").symlink_to("../" * 20 + str(outside).lstrip("/"))
    container.mount("/way/made", "tmpfs", "tmpfs")
    container.run("true", code=None)
    assert list(outside.iterdir()) == []


def test_a_root_that_is_a_link(container):
    real = container.bundle / "real"
    container.rootfs.rename(real)
    container.rootfs.symlink_to("real")
    done = container.run("sh", "-c", "ls /; ls /../..", code=None)  # runc refuses it
    assert done.code != 0 or (set(done.stdout.split()) == set(os.listdir(real)))


# --- redirected procfs and sysfs (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881) ---

def replace(path: pathlib.Path, target: str) -> None:
    path.rmdir()
    path.symlink_to(target)


@pytest.mark.needs("redirected system directories refused")
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_a_system_directory_that_is_a_link(container, name):
    replace(container.rootfs / name, "/tmp/elsewhere")
    (container.rootfs / "tmp/elsewhere").mkdir()
    container.create_fails("true")


def fake_proc(tmp_path) -> pathlib.Path:
    fake = tmp_path / "fake"
    for name in ("sys/net/ipv4", "self/attr", "thread-self/attr/apparmor"):
        (fake / name).mkdir(parents=True)
    (fake / "sys/net/ipv4/ip_forward").write_text("untouched")
    return fake


@pytest.mark.needs("fake procfs refused")
def test_settings_go_to_no_fake(container, tmp_path):
    fake = fake_proc(tmp_path)
    container.config["mounts"] = [mount for mount in container.config["mounts"] if mount["destination"] != "/proc"]
    container.bind(fake, "/proc")
    container.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    container.linux["maskedPaths"] = container.linux["readonlyPaths"] = []
    container.create_fails("true")
    assert (fake / "sys/net/ipv4/ip_forward").read_text() == "untouched"


@pytest.mark.needs("procfs targets refused")
def test_settings_do_not_follow_what_is_mounted_over_them(container, tmp_path):
    """One setting's file over another's: a write of the one would be one of the other."""
    container.bind("/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/net/ipv4/ip_forward")
    container.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    before = pathlib.Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    container.create_fails("true")
    assert pathlib.Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == before


@pytest.mark.needs("procfs targets refused")
@pytest.mark.parametrize("target", ["/proc/self/attr", "/proc/sys", "/proc/sys/kernel", "/proc/1", "/proc/self/setgroups"])
def test_nothing_is_mounted_over_what_programs_write_to(container, tmp_path, target):
    source = tmp_path / "source"
    if target.endswith("setgroups"):
        source.write_text("deny")
    else:
        source.mkdir()
    container.bind(source, target)
    container.create_fails("true")


@pytest.mark.needs("procfs targets refused")
def test_nothing_is_mounted_over_proc_behind_a_link(container, tmp_path):
    (container.rootfs / "volume").symlink_to("/proc/self/attr")
    container.bind(tmp_path, "/volume")
    container.create_fails("true")


# --- masks, console and terminals (CVE-2025-31133, CVE-2025-52565) ---

@pytest.fixture
def own_dev(container):
    """A directory of the host as /dev, as hostile as the test makes it."""
    dev = container.bundle / "dev"
    dev.mkdir()
    for name, number in (("null", 3), ("zero", 5)):
        os.mknod(dev / name, 0o20666, os.makedev(1, number))
    container.config["mounts"] = [mount for mount in container.config["mounts"] if not mount["destination"].startswith("/dev")]
    container.bind(dev, "/dev")
    (container.rootfs / "etc/secret").write_text("secret")
    container.linux["maskedPaths"].append("/etc/secret")
    return dev


def test_masks_by_the_null_device(container, own_dev):
    assert (own_dev / "null").is_char_device()
    assert container.output("cat", "/etc/secret") == ""


@pytest.mark.needs("null device checked")
@pytest.mark.parametrize("put", [None, "link", "zero"])
def test_masks_need_the_real_null_device(container, own_dev, put):
    (own_dev / "null").unlink()
    if put == "link":
        (own_dev / "null").symlink_to("/etc/secret")
    elif put == "zero":
        os.mknod(own_dev / "null", 0o20666, os.makedev(1, 5))
    container.create_fails("cat", "/etc/secret")


@pytest.mark.needs("console target checked")
@pytest.mark.parametrize("name, target", [("console", "/proc/sys/net/ipv4/ip_forward"), ("ptmx", "/etc/secret"), ("ptmx", "/pipe")])
def test_a_terminal_behind_links(container, own_dev, name, target):
    os.mkfifo(container.rootfs / "pipe")
    (own_dev / "pts").mkdir()
    container.mount("/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620")
    (own_dev / "ptmx").symlink_to("pts/ptmx")
    (own_dev / name).unlink(missing_ok=True)
    (own_dev / name).symlink_to(target)
    container.process["terminal"] = True
    console = ConsoleSocket(container.bundle / "console.sock")
    try:
        container.set_args("true")
        container.save()
        container.runtime.fails("create", "--bundle", container.bundle, "--console-socket", console.path, container.id)
    finally:
        console.close()


def test_terminals_are_the_containers_own(container):
    container.process["terminal"] = True
    console = ConsoleSocket(container.bundle / "console.sock")
    try:
        container.create("sh", "-c", "tty; ls /dev/pts; stat -c %t:%T /dev/console; sleep 1000", options=("--console-socket", console.path))
        console.receive()
        container.start()
        assert b"/dev/pts/0" in console.read_until(b"88:0")
    finally:
        console.close()


# --- /etc/passwd ---

@pytest.mark.needs("hostile lists of users")
@pytest.mark.parametrize("kind", ["fifo", "zero", "link", "huge", "directory"])
def test_a_hostile_list_of_users(container, kind):
    """Looked up for HOME alone: never outside of the root, never for ever."""
    file = container.rootfs / "etc/passwd"
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "zero":
        os.mknod(file, 0o20666, os.makedev(1, 5))
    elif kind == "link":
        file.symlink_to("../" * 20 + "etc/passwd")
    elif kind == "huge":
        with open(file, "wb") as out:
            out.truncate(1 << 40)
    else:
        file.mkdir()
    container.process["env"] = [oci.PATH_ENV]
    container.process["user"] = {"uid": 4, "gid": 4}
    assert container.shell('echo "[$HOME]"', timeout=10).strip() in ("[/]", "[]")


def test_users_that_look_like_numbers(container):
    (container.rootfs / "etc/passwd").write_text("4:x:0:0::/root:/bin/sh\nreal:x:4:4::/home/real:/bin/sh\n")
    container.process["env"] = [oci.PATH_ENV]
    container.process["user"] = {"uid": 4, "gid": 4}
    assert container.shell("id -u; echo $HOME").split() == ["4", "/home/real"]


@pytest.mark.needs("exec --user in range")
@pytest.mark.parametrize("user", ["4294967296", "4294967295", "-1", "99999999999999999999", "0x0"])
def test_users_out_of_range(container, user):
    container.started()
    container.runtime.fails("exec", "--user", user, container.id, "id")


# --- control groups ---

@pytest.mark.parametrize("path", ["../escape", "/a/../../escape", ".."])
@pytest.mark.needs("cgroupsPath checked")
def test_a_control_group_elsewhere(container, path):
    container.linux["cgroupsPath"] = path
    container.create_fails("true")
    assert oci.groups_named("escape") == []


def test_control_groups_stay_read_only(container):
    """The way out by release_agent (CVE-2022-0492)."""
    container.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
    script = ('for file in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name cgroup.procs -o -name devices.allow); '
              'do echo seen; echo 1 >$file && echo "written $file"; done; true')
    seen = container.shell(script)
    assert "written" not in seen
    assert "seen" in seen


def test_a_namespace_of_control_groups_hides_the_hosts(container):
    container.namespace("cgroup")
    paths = {line.split(":", 2)[2] for line in container.output("cat", "/proc/self/cgroup").splitlines()}
    assert container.id not in "".join(paths)


# --- containers that are half dead ---

@pytest.fixture
def keeping_zombies():
    """What this process inherits stays a zombie until the test is over."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def test_exec_where_the_first_process_is_a_zombie(container, keeping_zombies):
    container.started()
    pid = container.pid
    container.kill("KILL")
    wait_until(lambda: " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text())
    assert container.status == "stopped"
    container.runtime.fails("exec", container.id, "echo", "inside", timeout=10)


def test_exec_where_the_number_is_another_processs(container):
    """As after the number of an ended process was given to another."""
    if container.runtime.name != "berth-oci":
        pytest.skip("reads berth-oci's own state")
    container.started()
    file = container.runtime.state / container.id / "state.json"
    state = json.loads(file.read_text())
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        file.write_text(json.dumps({**state, "pid": stranger.pid}))
        container.runtime.fails("exec", container.id, "touch", "/tmp/inside", timeout=10)
        assert container.status == "stopped"
        container.runtime.fails("kill", container.id, "KILL")
        assert stranger.poll() is None, "a signal went to a stranger"
    finally:
        file.write_text(json.dumps(state))
        stranger.kill()
        stranger.wait()


def test_exec_while_it_ends(new_container):
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.04):
        container = new_container().started()
        command = container.runtime.command("exec", container.id, "true")
        entering = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        container.kill("KILL")
        entering.wait(10)
        container.wait_stopped()


def test_exec_in_a_paused_container(container):
    container.started()
    container.runtime("pause", container.id)
    container.runtime.fails("exec", container.id, "true", timeout=10)
    container.runtime("resume", container.id)


# --- names ---

@pytest.mark.needs("strict ids")
@pytest.mark.parametrize("name", ["../escape", "a/b", "/tmp/escape", "..", ".", ""])
@pytest.mark.parametrize("command", ["create", "state", "delete", "exec", "kill", "start"])
def test_names_with_parts_of_paths(container, command, name):
    container.save()
    more = {"create": ("--bundle", container.bundle), "delete": ("--force",)}.get(command, ())
    after = {"exec": ("true",), "kill": ("KILL",)}.get(command, ())
    done = container.runtime(command, *more, name, *after, code=None)
    assert done.code != 0 or command == "delete"  # by force that is fine with what is not there
    assert not (container.runtime.state.parent / "escape").exists()
    assert container.runtime.state.parent.exists() and container.bundle.exists()
