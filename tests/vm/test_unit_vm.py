"""`berth run --unit vm`: what is asked of it is asked of the container too, and the answers are the same."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import accounts
import machine
import pytest
from berth import Berth

IMAGE = "localhost/busybox:latest"
UNITS = ["container", "vm"]
each_unit = pytest.mark.parametrize("unit", UNITS)
BOOT_S = 120

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


@pytest.fixture(scope="module")
def shared(busybox_archive):
    package = machine.debian_package()
    with Berth() as made:
        made.load(busybox_archive)
        made("kernel", "add", package, timeout=300)
        yield made


def run(berth, unit, *command, options=(), **more):
    return berth("run", "--rm", "--unit", unit, *options, IMAGE, *command, **{"timeout": BOOT_S, **more})


def start(berth, unit, name, *command, options=()):
    berth("run", "-d", "--unit", unit, "--name", name, *options, IMAGE, *command, timeout=BOOT_S)


# --- the workload ---

SCRIPT = r"""
echo out; echo err >&2; echo "$GREETING"; id -u; id -g; pwd; hostname; echo $$; umask; ulimit -n
grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; ls -d /proc/[0-9]* > /tmp/seen; wc -l < /tmp/seen; tr '\0' ' ' < /proc/1/cmdline
echo x > /tmp/written; cat /tmp/written; ls -ld /tmp | cut -c1-10; ls /dev; cat /etc/hosts; exit 7
"""


def test_the_same_program_sees_the_same(shared):
    options = ("-e", "GREETING=hello there", "-u", "1000:100", "-w", "/var", "--hostname", "boat", "--ulimit", "nofile=64:128")
    runs = [run(shared, unit, "sh", "-c", SCRIPT, options=options, code=7) for unit in UNITS]
    assert runs[0].stdout == runs[1].stdout
    assert (runs[0].stderr, runs[1].stderr) == ("err\n", "err\n")


@each_unit
def test_much_output_and_input_pass_whole(shared, unit):
    data = os.urandom(3_000_000)
    command = shared.command("run", "--rm", "-i", "--unit", unit, IMAGE, "sh", "-c", "cat; exec sha256sum /dev/null >&2")
    done = subprocess.run(command, input=data, capture_output=True, timeout=BOOT_S, check=False)
    assert done.returncode == 0 and done.stdout == data, (done.returncode, len(done.stdout), done.stderr)


@each_unit
@pytest.mark.parametrize("program, code", [("/no/such/program", 127), ("/etc/passwd", 126)])
def test_a_program_that_does_not_start(shared, unit, program, code):
    assert program in run(shared, unit, program, code=code).stderr


@each_unit
def test_signals_reach_the_program(shared, unit):
    name = f"signals-{unit}"
    start(shared, unit, name, "sh", "-c", "trap 'echo got usr1; exit 5' USR1; echo ready; while :; do sleep 0.1; done")
    shared.wait_until(lambda: "ready" in shared("logs", name).stdout, timeout=BOOT_S)
    shared("kill", "--signal", "USR1", name)
    assert shared("wait", name, timeout=BOOT_S).stdout.strip() == "5"
    assert shared("logs", name).stdout == "ready\ngot usr1\n"
    shared("rm", name)


@each_unit
def test_a_terminal(shared, unit):
    terminal = shared.terminal("run", "--rm", "-it", "--unit", unit, IMAGE, "sh")
    terminal.expect("# ", timeout=BOOT_S)
    terminal.resize(33, 101)
    time.sleep(1)
    terminal.type("tty; stty size\n")
    seen = terminal.expect("33 101", timeout=20)
    assert "/dev/pts/0" in seen or "/dev/console" in seen
    terminal.type("sleep 100\n")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.expect("# ", timeout=20)
    terminal.type("exit 9\n")
    assert terminal.wait(20) == 9


@each_unit
def test_exec_joins(shared, unit):
    name = f"exec-{unit}"
    start(shared, unit, name, "sh", "-c", "echo here > /tmp/mark; sleep 1000")
    ran = shared("exec", "-e", "A=b", "-u", "1000", "-w", "/tmp", name, "sh", "-c",
                 "cat mark; echo $A; id -u; ls -d /proc/[0-9]* | head -1; echo oops >&2; exit 6", code=6, timeout=30)
    assert (ran.stdout, ran.stderr) == ("here\nb\n1000\n/proc/1\n", "oops\n")
    assert shared("exec", "-i", name, "cat", stdin="to and fro").stdout == "to and fro"
    assert "/no/such" in shared("exec", name, "/no/such", code=127).stderr
    shared("rm", "-f", name)


@each_unit
def test_a_terminal_of_exec(shared, unit):
    name = f"exec-tty-{unit}"
    start(shared, unit, name, "sleep", "1000")
    terminal = shared.terminal("exec", "-it", name, "sh")
    terminal.expect("# ", timeout=30)
    terminal.type("tty; exit 3\n")
    terminal.expect("/dev/pts/", timeout=20)
    assert terminal.wait(20) == 3
    shared("rm", "-f", name)


@each_unit
def test_stop_and_start_again(shared, unit):
    name = f"stop-{unit}"
    start(shared, unit, name, "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done")
    shared.wait_until(lambda: "up" in shared("logs", name).stdout, timeout=BOOT_S)
    shared("stop", "--timeout", "20", name, timeout=BOOT_S)
    assert shared.inspect(name)["State"]["ExitCode"] == 0
    shared("start", name, timeout=BOOT_S)
    shared.wait_until(lambda: shared("logs", name).stdout == "up\nup\n", timeout=BOOT_S)
    shared("kill", name)
    assert shared.inspect(name)["State"]["ExitCode"] == 137
    shared("rm", name)


@each_unit
def test_limits_inside(shared, unit):
    done = run(shared, unit, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; wait", options=("--pids", "4"), code=None)
    assert "can't fork" in done.stderr


@each_unit
def test_read_only_root_and_tmpfs(shared, unit):
    done = run(shared, unit, "sh", "-c", "touch /x; touch /scratch/x && df -k /scratch | tail -1 | awk '{print $2}'",
               options=("--read-only", "--tmpfs", "/scratch:size=1m"))
    assert done.stdout == "1024\n" and "Read-only file system" in done.stderr


@each_unit
def test_a_killed_monitor_is_replaced(shared, unit):
    name = f"orphan-{unit}"
    start(shared, unit, name, "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo went on; exit 4")
    state = shared.inspect(name)["State"]
    os.kill(state["MonitorPid"], signal.SIGKILL)
    shared("exec", name, "touch", "/tmp/go", timeout=60)
    assert shared("wait", name, timeout=BOOT_S).stdout.strip() == "4"
    assert shared("logs", name).stdout == "went on\n"
    shared("rm", name)


# --- the machine ---

def test_it_has_a_kernel_of_its_own(shared):
    seen = run(shared, "vm", "sh", "-c", "uname -r; grep MemTotal /proc/meminfo; nproc", options=("--memory", "128M")).stdout
    release, memory, processors = seen.splitlines()
    assert release in shared("kernel", "ls", "-q").stdout
    assert 80_000 < int(memory.split()[1]) < 131_072 and processors == "1"


def test_a_panic_is_told_apart(shared):
    start(shared, "vm", "panic", "sh", "-c", "sleep 1000", options=("--privileged",))
    shared("exec", "--privileged", "panic", "sh", "-c", "echo c > /proc/sysrq-trigger", code=None, timeout=60)
    assert shared("wait", "panic", timeout=60).stdout.strip() == "125"
    assert "kernel panicked: sysrq triggered crash" in shared.inspect("panic")["State"]["Error"]
    shared("rm", "panic")


def test_a_killed_machine_is_137_and_exec_notices(shared):
    start(shared, "vm", "killed", "sleep", "1000")
    inside = shared.start("exec", "killed", "sleep", "1000")
    time.sleep(1)
    os.kill(shared.inspect("killed")["State"]["Pid"], signal.SIGKILL)
    assert shared("wait", "killed", timeout=30).stdout.strip() == "137"
    assert inside.wait(30) == 137
    shared("rm", "killed")


def test_what_a_killed_maker_of_disks_left_is_no_disk(berth, busybox_archive):
    berth.load(busybox_archive)
    (layer,) = (berth.root / "layers").iterdir()
    (layer / "root.erofs.new").write_bytes(b"half of a disk")
    berth("kernel", "add", machine.debian_package(), timeout=300)
    assert run(berth, "vm", "echo", "whole").stdout == "whole\n"
    assert sorted(path.name for path in layer.iterdir()) == ["fs", "root.erofs", "root.lock"]
    assert berth("image", "check").stdout == ""
    berth("image", "rm", IMAGE)
    berth("image", "prune", "-f", code=None)
    assert not layer.exists()


def test_a_guest_that_runs_out_of_memory_says_so(shared):
    shared("run", "--name", "hungry", "--unit", "vm", "--memory", "96M", IMAGE, "sh", "-c", "exec tail /dev/zero",
           code=137, timeout=BOOT_S)
    assert "ran out of memory" in shared.inspect("hungry")["State"]["Error"]
    shared("rm", "hungry")


def test_its_process_can_reach_nothing(shared):
    start(shared, "vm", "jailed", "sleep", "1000")
    pid = shared.inspect("jailed")["State"]["Pid"]
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status and "CapEff:\t0000000000000000" in status
    assert os.listdir(f"/proc/{pid}/root") in ([], ["dev"])
    own = pathlib.Path("/proc/self/ns")
    for name in ("mnt", "net", "ipc", "uts", "cgroup"):
        assert os.readlink(own / name) != os.readlink(f"/proc/{pid}/ns/{name}")
    assert os.stat(f"/proc/{pid}").st_uid >= 0x60000000 or int(status.split("Uid:")[1].split()[0]) >= 0x60000000
    shared("rm", "-f", "jailed")


def test_the_monitor_is_in_the_control_group_and_its_limits_hold(shared):
    start(shared, "vm", "limited", "sh", "-c", "while :; do :; done", options=("--cpus", "0.2"))
    pid = shared.inspect("limited")["State"]["Pid"]
    assert "berth/" in pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")

    def used() -> float:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before = used()
    time.sleep(3)
    assert used() - before < 1.5
    shared("rm", "-f", "limited")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one processor")
def test_it_has_a_processor_for_each_that_it_may_use(shared):
    count = "grep -c ^processor /proc/cpuinfo"
    assert run(shared, "vm", "sh", "-c", count, options=("--cpus", "0.5")).stdout == "1\n"
    work = "for i in 1 2 3 4; do (j=0; while [ $j -lt 20000 ]; do j=$((j+1)); done; echo $j) & done; wait"
    assert run(shared, "vm", "sh", "-c", f"{count}; {work}", options=("--cpus", "2")).stdout == "2\n" + "20000\n" * 4


@pytest.mark.parametrize("options, words", [
    (("-v", "/etc:/x"), "--volume: a virtual machine cannot share"),
    (("--memory", "8M"), "--memory: a virtual machine needs 96.0 MiB"),
    (("--device", "/dev/null"), "--device: a virtual machine has devices of its own"),
])
def test_what_cannot_be_had_is_refused_by_name(shared, options, words):
    assert words in run(shared, "vm", "true", options=options, code=125).stderr


def test_an_ordinary_user_has_machines_too(busybox_archive):
    if not shutil.which("newuidmap"):
        pytest.skip("no newuidmap (Debian's package uidmap)")
    with accounts.account("berth-vm-tester") as user:
        home = pathlib.Path(user.pw_dir)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--inh-caps=-all", "env", "-i",
                  f"HOME={home}", f"USER={user.pw_name}", "PATH=/usr/local/bin:/usr/bin:/bin"]
        if subprocess.run([*prefix, "unshare", "--user", "--map-root-user", "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine gives ordinary users no user namespaces")
        for source, name in ((busybox_archive, "image.tar"), (machine.debian_package(), "kernel.deb")):
            shutil.copy(source, home / name)
            (home / name).chmod(0o644)
        with Berth(root=home / "store", prefix=prefix) as berth:
            berth.load(home / "image.tar")
            berth("kernel", "add", home / "kernel.deb", timeout=300)
            done = run(berth, "vm", "sh", "-c", "rm /etc/os-release; ls /etc/os-release; id -u; exit 4", code=4)
            assert done.stdout == "0\n" and "No such file" in done.stderr
            (made,) = berth("image", "ls", "-q").stdout.split()
            start(berth, "vm", "kept", "sleep", "1000")
            assert berth("exec", "kept", "echo", made, timeout=60).stdout.strip() == made
            berth("rm", "-f", "kept")


def test_without_a_kernel_it_says_how_to_get_one(busybox_archive, berth):
    berth.load(busybox_archive)
    assert "berth kernel add" in run(berth, "vm", "true", code=125).stderr


def test_kernels_come_and_go(berth, tmp_path):
    name = berth("kernel", "add", machine.debian_package(), timeout=300).stdout.strip()
    assert berth("kernel", "default").stdout.strip() == name
    (tmp_path / "odd").write_bytes(b"no kernel")
    assert "neither a bzImage nor an ELF" in berth("kernel", "add", tmp_path / "odd", code=125).stderr
    (listed,) = berth.json("--format", "json", "kernel", "ls")
    assert {"erofs", "overlay", "virtio_blk"} <= set(listed["Modules"]) and listed["Default"]
    berth("kernel", "rm", name)
    assert berth("kernel", "ls", "-q").stdout == ""


def test_memory_that_the_guest_frees_goes_back_to_the_host(shared):
    start(shared, "vm", "balloon", "sleep", "1000", options=("--memory", "256M"))
    pid = shared.inspect("balloon")["State"]["Pid"]

    def resident_mib() -> int:
        (line,) = (line for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines() if "VmRSS" in line)
        return int(line.split()[1]) >> 10
    before = resident_mib()
    shared("exec", "balloon", "sh", "-c", "tr '\\0' x < /dev/zero | head -c 80000000 > /tmp/much", timeout=BOOT_S)
    full = resident_mib()
    assert full > before + 60
    shared("exec", "balloon", "rm", "/tmp/much", timeout=60)
    shared.wait_until(lambda: resident_mib() < full - 60, timeout=30)
    assert shared("exec", "balloon", "echo", "well", timeout=60).stdout == "well\n"
    shared("rm", "-f", "balloon")
