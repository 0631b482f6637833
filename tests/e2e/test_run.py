"""`berth run` in the foreground: what a program gets and what comes back, for every unit that claims it."""
import os
import pathlib
import signal
import socket
import subprocess

import pytest

IMAGE = "localhost/busybox:latest"
UNITS = ["container", "process"]
both_units = pytest.mark.parametrize("unit", UNITS)

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


def run(berth, unit, *command, options=(), **more):
    return berth("run", "--rm", "--unit", unit, *options, IMAGE, *command, **more)


# --- exit codes ---

@both_units
@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_programs_exit_code_is_berths(shared, unit, code):
    run(shared, unit, "sh", "-c", f"exit {code}", code=code)


@both_units
def test_a_program_that_is_not_there_is_127(shared, unit):
    done = run(shared, unit, "/no/such/program", code=127)
    assert "/no/such/program" in done.stderr and done.stdout == ""


@both_units
@pytest.mark.parametrize("path", ["/etc/passwd", "/etc"])
def test_a_program_that_cannot_be_invoked_is_126(shared, unit, path):
    assert path in run(shared, unit, path, code=126).stderr


@both_units
def test_an_image_that_is_not_there_is_125(shared, unit):
    done = shared("run", "--rm", "--unit", unit, "--pull", "never", "localhost/absent:1", "true", code=125)
    assert "localhost/absent:1" in done.stderr


@pytest.mark.parametrize("unit,name", [("container", "KILL"), ("process", "KILL"), ("process", "SEGV")])
def test_a_program_killed_by_a_signal_is_128_and_its_number(shared, unit, name):
    instance = f"killed-{unit}-{name}"
    process = shared.start("run", "--rm", "--name", instance, "--unit", unit, IMAGE, "sleep", "100")
    wait_running(shared, instance)
    shared("kill", "--signal", name, instance)
    assert process.wait(20) == 128 + getattr(signal, f"SIG{name}")


def wait_running(berth, name):
    def running():
        done = berth("inspect", name, code=None)
        return done.code == 0 and '"running"' in done.stdout
    berth.wait_until(running)


# --- streams ---

@both_units
def test_output_and_errors_stay_apart(shared, unit):
    done = run(shared, unit, "sh", "-c", "echo to-out; echo to-err >&2")
    assert (done.stdout, done.stderr) == ("to-out\n", "to-err\n")


@both_units
def test_no_output_is_lost(shared, unit):
    done = run(shared, unit, "sh", "-c", "seq 1 200000; seq 1 1000 >&2")
    assert done.stdout == "".join(f"{n}\n" for n in range(1, 200001))
    assert done.stderr == "".join(f"{n}\n" for n in range(1, 1001))


@both_units
def test_the_last_words_without_newline_come(shared, unit):
    assert run(shared, unit, "printf", "no newline").stdout == "no newline"


@both_units
def test_bytes_are_not_touched(shared, unit):
    data = bytes(range(256)) * 64
    done = subprocess.run(shared.command("run", "--rm", "-i", "--unit", unit, IMAGE, "cat"), input=data,
                          capture_output=True, check=True, timeout=60)
    assert done.stdout == data


@both_units
def test_input_reaches_the_program_with_i(shared, unit):
    assert run(shared, unit, "sh", "-c", "read a; read b; echo $b-$a", options=["-i"], stdin="one\ntwo\n").stdout == "two-one\n"


@both_units
def test_a_megabyte_of_input(shared, unit):
    done = run(shared, unit, "wc", "-c", options=["-i"], stdin=b"x" * (1 << 20))
    assert done.stdout.strip() == str(1 << 20)


@both_units
def test_without_i_the_input_is_empty(shared, unit):
    assert run(shared, unit, "cat", stdin="not for you\n").stdout == ""


# --- user, directory, environment ---

@both_units
@pytest.mark.parametrize("user,expected", [
    (None, "0:0"), ("tester", "1000:1000"), ("1000", "1000:1000"), ("1000:50", "1000:50"), ("tester:staff", "1000:50"),
    ("4321", "4321:0"), ("4321:8765", "4321:8765")])
def test_user(shared, unit, user, expected):
    options = ["--user", user] if user else []
    assert run(shared, unit, "sh", "-c", "echo $(id -u):$(id -g)", options=options).stdout == f"{expected}\n"


@both_units
def test_a_named_user_has_its_groups_and_home(shared, unit):
    done = run(shared, unit, "sh", "-c", "id -G; echo $HOME", options=["-u", "tester"])
    assert done.stdout == "1000 50\n/home/tester\n"


@both_units
def test_an_unknown_user_is_named(shared, unit):
    done = run(shared, unit, "true", options=["-u", "stranger"], code=None)
    assert done.code in (125, 126) and "stranger" in done.stderr


@both_units
def test_working_directory(shared, unit):
    assert run(shared, unit, "pwd").stdout == "/\n"
    assert run(shared, unit, "pwd", options=["-w", "/tmp"]).stdout == "/tmp\n"


@both_units
def test_environment(shared, unit, tmp_path):
    file = tmp_path / "env"
    file.write_text("# a comment\nFROM_FILE=yes and more\nHANDED_ON\n\n")
    done = run(shared, unit, "env", options=["-e", "A=1", "-e", "A=2", "-e", "EMPTY=", "-e", "FROM_HOST", "--env-file", file],
               env=dict(os.environ, FROM_HOST="host", HANDED_ON="too", SECRET="not given"))
    lines = done.stdout.splitlines()
    for line in ("A=2", "EMPTY=", "FROM_HOST=host", "FROM_FILE=yes and more", "HANDED_ON=too",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
        assert line in lines
    assert not [line for line in lines if line.startswith(("SECRET=", "A=1"))]


# --- entrypoint and command ---

@pytest.fixture(scope="module")
def with_entrypoint(shared, tmp_path_factory):
    import images
    archive = tmp_path_factory.mktemp("entry") / "entry.tar"
    images.busybox(archive, "localhost/entry:1", {"Entrypoint": ["echo", "entry"], "Cmd": ["from-image"], "User": "tester",
                                                  "WorkingDir": "/home/tester", "Env": ["PATH=/bin", "IMAGE=yes"]})
    shared.load(archive)
    return "localhost/entry:1"


@both_units
@pytest.mark.parametrize("options,command,expected", [
    ([], [], "entry from-image\n"),
    ([], ["mine", "two"], "entry mine two\n"),
    (["--entrypoint", "printf"], ["<%s>", "x"], "<x>"),
    (["--entrypoint", ""], ["id", "-u"], "1000\n"),
    (["--entrypoint", "sh"], ["-c", "pwd; echo $IMAGE"], "/home/tester\nyes\n")])
def test_entrypoint(shared, with_entrypoint, unit, options, command, expected):
    assert shared("run", "--rm", "--unit", unit, *options, with_entrypoint, *command).stdout == expected


# --- files ---

@both_units
def test_read_only(shared, unit):
    done = run(shared, unit, "sh", "-c", "touch /x || touch /etc/x", options=["--read-only"], code=1)
    assert "Read-only file system" in done.stderr


def test_writes_stay_in_the_instance(shared):
    run(shared, "container", "sh", "-c", "echo changed > /etc/os-release; rm /etc/group; touch /new")
    done = run(shared, "container", "sh", "-c", "cat /etc/os-release; ls /etc/group; ls /new", code=1)
    assert "ID=berth-test" in done.stdout and "/etc/group" in done.stdout and "/new" in done.stderr


@both_units
def test_volumes(shared, unit, tmp_path):
    (tmp_path / "in").write_text("from the host\n")
    done = run(shared, unit, "sh", "-c", "cat /data/in; echo back > /data/out", options=["-v", f"{tmp_path}:/data"])
    assert done.stdout == "from the host\n" and (tmp_path / "out").read_text() == "back\n"
    done = run(shared, unit, "sh", "-c", "cat /data/in; touch /data/x", options=["-v", f"{tmp_path}:/data:ro"], code=1)
    assert "Read-only" in done.stderr and not (tmp_path / "x").exists()
    file = run(shared, unit, "cat", "/one", options=["-v", f"{tmp_path}/in:/one:ro"])
    assert file.stdout == "from the host\n"


@both_units
def test_tmpfs(shared, unit):
    done = run(shared, unit, "sh", "-c", "grep ' /scratch ' /proc/mounts; touch /scratch/x && echo written",
               options=["--tmpfs", "/scratch", "--read-only"])
    assert done.stdout.split()[2] == "tmpfs" and done.stdout.endswith("written\n")


# --- terminal ---

@both_units
def test_a_terminal_with_t(shared, unit):
    terminal = shared.terminal("run", "--rm", "-it", "--unit", unit, IMAGE, "sh")
    terminal.type("test -t 0 && test -t 1 && test -t 2 && echo is-$((40+2))\n")
    terminal.expect("is-42")
    terminal.type("exit 7\n")
    assert terminal.wait() == 7


def test_the_terminal_has_the_size_of_ours_and_follows_it(shared):
    terminal = shared.terminal("run", "--rm", "-it", IMAGE, "sh", rows=33, columns=101)
    terminal.type("stty size\n")
    terminal.expect("33 101")
    terminal.resize(44, 122)
    terminal.type("sleep 0.3; stty size\n")
    terminal.expect("44 122")
    terminal.type("exit\n")
    assert terminal.wait() == 0


def test_the_containers_terminal_is_its_own(shared):
    terminal = shared.terminal("run", "--rm", "-it", IMAGE, "sh", "-c", "tty; ls /dev/pts")
    assert terminal.wait() == 0
    assert b"/dev/pts/0" in terminal.output


def test_control_c_reaches_the_program(shared):
    terminal = shared.terminal("run", "--rm", "-it", IMAGE, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done")
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("caught")
    assert terminal.wait() == 9


# --- signals ---

@both_units
@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "INT"])
def test_signals_are_forwarded(shared, unit, name):
    script = f"trap 'echo got {name}; exit 33' {name}; echo ready; while :; do sleep 0.05; done"
    process = shared.start("run", "--rm", "--unit", unit, IMAGE, "sh", "-c", script)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, f"SIG{name}"))
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (33, f"got {name}\n".encode()), errors


# --- what a container hides ---

def status(berth, *options):
    text = run(berth, "container", "cat", "/proc/self/status", options=options).stdout
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_the_program_is_pid_1(shared):
    assert run(shared, "container", "sh", "-c", "echo $$").stdout == "1\n"
    assert len(run(shared, "container", "ps", "-o", "pid").stdout.split()) == 2  # the heading, and ps itself


def test_init_is_pid_1_and_reaps(shared):
    done = run(shared, "container", "sh", "-c", "echo $$; (sleep 0.1 &); sleep 0.4; ps -o stat", options=["--init"])
    assert done.stdout.splitlines()[0] != "1"
    assert "Z" not in "".join(line[0] for line in done.stdout.splitlines()[1:])


def test_init_hands_on_exit_code_and_signals(shared):
    run(shared, "container", "sh", "-c", "exit 5", options=["--init"], code=5)
    process = shared.start("run", "--rm", "--init", IMAGE, "sh", "-c", "echo ready; sleep 100")
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM


def test_hostname(shared):
    assert run(shared, "container", "hostname", options=["--hostname", "harbour"]).stdout == "harbour\n"
    name = run(shared, "container", "hostname").stdout.strip()
    assert len(name) == 12 and int(name, 16) >= 0 and name != socket.gethostname()


def test_the_host_name_resolves(shared):
    assert "harbour" in run(shared, "container", "cat", "/etc/hosts", options=["--hostname", "harbour"]).stdout


def test_network_none_has_loopback_alone(shared):
    done = run(shared, "container", "sh", "-c", "ls /sys/class/net; ip link show lo", options=["--network", "none"])
    assert done.stdout.splitlines()[0] == "lo" and ",UP" in done.stdout
    interfaces = run(shared, "container", "cat", "/proc/net/dev", options=["--network", "none"]).stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_network_host_is_the_hosts(shared):
    host = sorted(os.listdir("/sys/class/net"))
    done = run(shared, "container", "cat", "/proc/net/dev", options=["--network", "host"])
    assert sorted(line.split(":")[0].strip() for line in done.stdout.splitlines()[2:]) == host


def test_no_new_privileges_by_default(shared):
    assert status(shared)["NoNewPrivs"].strip() == "1"


def test_namespaces_are_its_own(shared):
    kinds = ["mnt", "pid", "ipc", "uts", "net", "cgroup"]
    done = run(shared, "container", "sh", "-c", "".join(f"readlink /proc/self/ns/{kind}; " for kind in kinds))
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert not set(host) & set(done.stdout.split()) and len(done.stdout.split()) == len(kinds)


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"])
def test_masked_files_are_empty(shared, path):
    if not pathlib.Path(path).exists():
        pytest.skip(f"this kernel has no {path}")
    assert run(shared, "container", "sh", "-c", f"cat {path} | wc -c", code=None).stdout.strip() == "0"


def test_masked_directories_are_empty(shared):
    assert run(shared, "container", "ls", "/sys/firmware", code=None).stdout == ""


@pytest.mark.parametrize("path", ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity",
                                  "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_kernel_settings_cannot_be_written(shared, path):
    if not pathlib.Path(path).exists():
        pytest.skip(f"this kernel has no {path}")
    before = pathlib.Path(path).read_bytes() if path != "/proc/sysrq-trigger" else b""
    run(shared, "container", "sh", "-c", f"echo 0 > {path}", code=1)
    assert path == "/proc/sysrq-trigger" or pathlib.Path(path).read_bytes() == before


def test_the_hosts_files_are_out_of_sight(shared, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    run(shared, "container", "ls", secret, code=1)
    run(shared, "container", "sh", "-c", f"ls /proc/1/root{secret} || ls /../../../../{secret}", code=1)


def test_devices_are_the_usual_ones(shared):
    done = run(shared, "container", "sh", "-c", "ls /dev")
    names = set(done.stdout.split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin", "stdout", "stderr"} <= names
    assert not {name for name in names if name.startswith(("sd", "vd", "nvme", "kvm", "mem", "loop"))}
    assert run(shared, "container", "sh", "-c", "head -c 5 /dev/zero | wc -c; echo x > /dev/null").stdout.strip() == "5"


def test_a_device_node_made_inside_does_not_open(shared):
    major, minor = os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev)
    done = run(shared, "container", "sh", "-c", f"mknod /disk b {major} {minor} && head -c 1 /disk", options=["--cap-add", "MKNOD"],
               code=1)
    assert "not permitted" in done.stderr or "Permission denied" in done.stderr


# --- privileges ---

DEFAULT_CAPABILITIES = 0x800405fb  # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP


def capabilities(found):
    return tuple(int(found[f"Cap{name}"], 16) for name in ("Bnd", "Eff", "Prm"))


def test_default_capabilities(shared):
    assert capabilities(status(shared)) == (DEFAULT_CAPABILITIES,) * 3


def test_capabilities_added_and_dropped(shared):
    assert capabilities(status(shared, "--cap-drop", "ALL")) == (0, 0, 0)
    assert capabilities(status(shared, "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE")) == (1 << 10,) * 3
    assert capabilities(status(shared, "--cap-add", "NET_ADMIN"))[0] == DEFAULT_CAPABILITIES | 1 << 12
    assert capabilities(status(shared, "--cap-drop", "cap_chown"))[0] == DEFAULT_CAPABILITIES & ~1


def test_an_ordinary_user_inside_has_none(shared):
    bounding, effective, permitted = capabilities(status(shared, "-u", "tester"))
    assert (effective, permitted) == (0, 0) and bounding == DEFAULT_CAPABILITIES


def test_privileged_has_all_that_berth_has(shared):
    own = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    assert capabilities(status(shared, "--privileged"))[0] == int(own["CapBnd"], 16)


def test_seccomp_filters_by_default(shared):
    assert status(shared)["Seccomp"].strip() == "2"
    assert status(shared, "--security-opt", "seccomp=unconfined")["Seccomp"].strip() == "0"
    run(shared, "container", "unshare", "-U", "true", code=1)
    run(shared, "container", "unshare", "-U", "true", options=["--security-opt", "seccomp=unconfined"])


def test_an_own_seccomp_profile(shared, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],'
                       ' "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}')
    done = run(shared, "container", "mkdir", "/x", options=["--security-opt", f"seccomp={profile}"], code=1)
    assert "No space left on device" in done.stderr


def test_mounting_is_refused(shared):
    run(shared, "container", "mount", "-t", "tmpfs", "none", "/tmp", code=1)


@both_units
def test_ulimits(shared, unit):
    assert run(shared, unit, "sh", "-c", "ulimit -Sn; ulimit -Hn", options=["--ulimit", "nofile=100:200"]).stdout == "100\n200\n"


def test_sysctls(shared):
    done = run(shared, "container", "cat", "/proc/sys/net/ipv4/ip_forward", options=["--sysctl", "net.ipv4.ip_forward=1"])
    assert done.stdout == "1\n"


# --- files that berth writes for scripts, and what is left ---

@both_units
def test_cidfile_and_inspect(shared, unit, tmp_path):
    file = tmp_path / "id"
    shared("run", "--name", f"kept-{unit}", "--cidfile", file, "--unit", unit, IMAGE, "true")
    try:
        assert len(file.read_text().strip()) == 64
        assert file.read_text().strip() in shared("inspect", f"kept-{unit}").stdout
    finally:
        shared("rm", f"kept-{unit}")


@both_units
def test_a_second_instance_of_the_same_name_is_refused(shared, unit):
    shared("run", "--name", "taken", "--unit", unit, IMAGE, "true")
    try:
        assert "taken" in shared("run", "--name", "taken", "--unit", unit, IMAGE, "true", code=125).stderr
    finally:
        shared("rm", "taken")


# --- the process unit ---

def test_a_host_command_as_a_process(shared):
    """... and the host's own files stay as they are: `no_leaks` sees mounts on them."""
    assert shared("run", "--rm", "--unit", "process", "--", "/bin/echo", "from", "the host").stdout == "from the host\n"


def test_a_process_hides_nothing_and_says_so(shared):
    shared("run", "--name", "open", "--unit", "process", IMAGE, "true")
    try:
        found = shared.inspect("open")
        assert found["Shares"] and found["Isolates"], found
    finally:
        shared("rm", "open")


@pytest.mark.parametrize("option", [["--cap-add", "NET_ADMIN"], ["--hostname", "x"], ["--privileged"], ["--network", "none"]])
def test_a_process_refuses_what_it_cannot_honour(shared, option):
    done = run(shared, "process", "true", options=option, code=125)
    assert option[0] in done.stderr


def test_a_unit_that_cannot_run_says_why(shared):
    done = run(shared, "machine", "true", code=125)
    assert "machine" in done.stderr and len(done.stderr) > 20
