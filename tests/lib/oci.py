"""OCI runtimes driven by their command line: a bundle, a container of it, and the runtime that is under test or a peer."""
import copy
import glob
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

from berth import Done, wait_until
from paths import BIN

BUSYBOX = pathlib.Path("/bin/busybox")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
V2_CONTROLLERS = CGROUPS / "unified" / "cgroup.controllers"
V2 = (CGROUPS / "cgroup.controllers").exists()  # version 2 alone
INSIDE = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/pids"  # the container's own group, in its view of one mounted there
PATH_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = int(os.environ.get("BERTH_OCI_TIMEOUT_S", "30"))
# What an ordinary container is given by the clients that people use.
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
                "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
DEVICES = [{"allow": False, "access": "rwm"}]
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
]


# Version 1's file, version 2's, and which of its words.
LIMITS = {
    "memory": ("memory.limit_in_bytes", "memory.max", 0),
    "memory reservation": ("memory.soft_limit_in_bytes", "memory.low", 0),
    "processes": ("pids.max", "pids.max", 0),
    "cpu shares": ("cpu.shares", "cpu.weight", 0),
    "cpu quota": ("cpu.cfs_quota_us", "cpu.max", 0),
    "cpu period": ("cpu.cfs_period_us", "cpu.max", 1),
    "processors": ("cpuset.cpus", "cpuset.cpus", 0),
}


def shares(number: int) -> str:
    """What "cpu shares" become: version 2's weight from 1 to 10000 stands for version 1's 2 to 262144 (runc and crun alike)."""
    return str(1 + (number - 2) * 9999 // 262142 if V2 else number)


def sub_group(path: str) -> str:
    """How `exec --cgroup` calls a group below the container's."""
    return path if V2 else f"pids:{path}"


def default_config() -> dict:
    """An ordinary container of the runtime specification, with a writable root and no terminal."""
    return copy.deepcopy({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["true"], "env": [PATH_ENV, "HOME=/root"], "cwd": "/",
            "capabilities": {name: CAPABILITIES for name in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "hostname": "conformance",
        "mounts": MOUNTS,
        "linux": {
            "resources": {"devices": DEVICES},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": MASKED, "readonlyPaths": READONLY,
        },
    })


def make_root(root: pathlib.Path, busybox: pathlib.Path) -> None:
    """A root of one static busybox (a link to `busybox`) and its applets."""
    for name in ("bin", "dev", "etc", "home/tester", "proc", "root", "run", "sys", "tmp", "usr/bin", "var"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000:tester:/home/tester:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ntester:x:1000:\nstaff:x:50:tester\n")
    os.link(busybox, root / "bin/busybox")
    for applet in applets():
        os.symlink("busybox", root / "bin" / applet)


_applets: list[str] = []


def applets() -> list[str]:
    if not _applets:
        listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        _applets.extend(name for name in listed if name != "busybox")
    return _applets


class Runtime:
    """One OCI runtime with a private state directory."""

    def __init__(self, name: str, program: pathlib.Path | str, wrapper: list[str] = ()):
        self.name = name
        self.program = str(program)
        self.wrapper = list(wrapper)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-oci-test-", dir="/var/tmp"))
        self.directory.chmod(0o755)
        self.state = self.directory / "state"
        self.busybox = self.directory / "busybox"
        shutil.copy(BUSYBOX, self.busybox)

    def command(self, *words, options: tuple = ()) -> list[str]:
        return [*self.wrapper, self.program, "--root", str(self.state), *map(str, options), *map(str, words)]

    def __call__(self, *words, code: int | None = 0, options: tuple = (), stdin: str | None = None, timeout: float = TIMEOUT_S,
                 **popen) -> Done:
        """Runs one command to its end. Output goes to files: a container that lives on would keep pipes open. `options` are global
        ones; `code` is the exit status that must come back (None: any)."""
        command = self.command(*words, options=options)
        source = {"input": stdin.encode()} if stdin is not None else {"stdin": subprocess.DEVNULL}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ran = subprocess.run(command, stdout=out, stderr=err, timeout=timeout, check=False, **{**source, **popen})
            done = Done(command, ran.returncode, read_back(out), read_back(err))
        assert code is None or done.code == code, f"expected exit {code}: {done}"
        return done

    def fails(self, *words, **options) -> str:
        """Runs a command that must be refused, with words for a person; gives them."""
        done = self(*words, code=None, **options)
        assert done.code != 0, f"should have been refused: {done}"
        assert done.stderr.strip(), f"refused without a word: {done}"
        return done.stderr

    def container(self) -> "Container":
        return Container(self)

    def close(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def read_back(file) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


class Container:
    """A bundle and the one container that is made of it. Change `config` first, then `run` or `create`."""

    def __init__(self, runtime: Runtime):
        self.runtime = runtime
        self.id = f"conf-{uuid.uuid4().hex[:12]}"
        self.bundle = runtime.directory / self.id
        self.rootfs = self.bundle / "rootfs"
        self.config = default_config()
        make_root(self.rootfs, runtime.busybox)
        self.stdout = self.bundle / "stdout"
        self.stderr = self.bundle / "stderr"

    # The configuration.

    @property
    def process(self) -> dict:
        return self.config["process"]

    @property
    def linux(self) -> dict:
        return self.config["linux"]

    def set_args(self, *args) -> None:
        if args:
            self.process["args"] = [str(arg) for arg in args]

    def mount(self, destination: str, kind: str, source, *options, **more) -> None:
        self.config["mounts"].append({"destination": destination, "type": kind, "source": str(source), "options": list(options), **more})

    def bind(self, source, destination: str, *options, **more) -> None:
        self.mount(destination, "bind", source, "rbind", *options, **more)

    def namespace(self, kind: str, **more) -> None:
        """Adds a namespace, or changes the one of that kind."""
        self.drop_namespace(kind)
        self.linux["namespaces"].append({"type": kind, **more})

    def drop_namespace(self, kind: str) -> None:
        self.linux["namespaces"] = [entry for entry in self.linux["namespaces"] if entry["type"] != kind]

    def hook(self, stage: str, script: str, **more) -> None:
        """Adds a hook that runs `script` with sh; the file descriptor 0 has the state."""
        self.config.setdefault("hooks", {}).setdefault(stage, []).append({"path": "/bin/sh", "args": ["sh", "-c", script], **more})

    def save(self) -> None:
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    # Its life.

    def run(self, *args, code: int | None = 0, options: tuple = (), **more) -> Done:
        """`run` to the end of the program `args`, or of the configured one."""
        self.set_args(*args)
        self.save()
        return self.runtime("run", "--bundle", self.bundle, *options, self.id, code=code, **more)

    def output(self, *args, **more) -> str:
        return self.run(*args, **more).stdout

    def shell(self, script: str, **more) -> str:
        return self.output("sh", "-c", script, **more)

    def run_fails(self, *args, **more) -> str:
        """`run` that must be refused before or instead of the program; gives the message."""
        self.set_args(*args)
        self.save()
        return self.runtime.fails("run", "--bundle", self.bundle, self.id, **more)

    def create(self, *args, options: tuple = (), **more) -> "Container":
        self.set_args(*args)
        self.save()
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            command = self.runtime.command("create", "--bundle", self.bundle, *options, self.id, options=more.pop("globals", ()))
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=TIMEOUT_S, check=False, **more)
        assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {self.stderr.read_text()}"
        return self

    def create_fails(self, *args, **more) -> str:
        self.set_args(*args)
        self.save()
        return self.runtime.fails("create", "--bundle", self.bundle, self.id, **more)

    def start(self) -> "Container":
        self.runtime("start", self.id)
        return self

    def started(self, *args, **more) -> "Container":
        """Created and started; by default it idles."""
        return self.create(*(args or ("sleep", "1000")), **more).start()

    def exec(self, *args, code: int | None = 0, options: tuple = (), **more) -> Done:
        return self.runtime("exec", *options, self.id, *args, code=code, **more)

    def exec_process(self, process: dict, code: int | None = 0, options: tuple = (), **more) -> Done:
        """`exec --process` of the configured process changed by `process`."""
        file = self.bundle / "process.json"
        file.write_text(json.dumps({**self.process, **process}))
        return self.runtime("exec", "--process", file, *options, self.id, code=code, **more)

    def state(self) -> dict:
        return json.loads(self.runtime("state", self.id).stdout)

    @property
    def status(self) -> str:
        return self.state()["status"]

    @property
    def pid(self) -> int:
        return self.state()["pid"]

    def kill(self, *words) -> Done:
        return self.runtime("kill", self.id, *words)

    def wait_stopped(self, timeout: float = 10) -> None:
        wait_until(lambda: self.status == "stopped", timeout, every=0.01)

    def wait_output(self, text: str, timeout: float = 10) -> str:
        """What the program wrote, once `text` is in it."""
        return wait_until(lambda: text in (seen := self.stdout.read_text()) and seen, timeout, every=0.01)

    def delete(self, *words) -> Done:
        return self.runtime("delete", *words, self.id)

    # What it is on the host.

    def proc(self, name: str) -> str:
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def namespace_of(self, kind: str) -> str:
        return os.readlink(f"/proc/{self.pid}/ns/{kind}")

    def cgroup(self, controller: str) -> pathlib.Path:
        """The container's group: in the controller's version 1 hierarchy, or, where there are none, version 2's."""
        for line in self.proc("cgroup").splitlines():
            number, controllers, path = line.split(":", 2)
            if V2 and number == "0":
                return CGROUPS / path.lstrip("/")
            if controller in controllers.split(","):
                return CGROUPS / controller.removeprefix("name=") / path.lstrip("/")
        raise AssertionError(f"no {controller} hierarchy: {self.proc('cgroup')}")

    def file(self, name: str) -> str:
        """What a file of the container's group says: "memory.max"."""
        return (self.cgroup(name.split(".")[0]) / name).read_text().strip()

    def limit(self, name: str) -> str:
        """One of LIMITS, as this host's version of control groups has it."""
        return self.file(LIMITS[name][0]) if not V2 else self.file(LIMITS[name][1]).split()[LIMITS[name][2]]

    def sweep(self) -> None:
        """Removes what a runtime left in the control group trees."""
        for path in groups_named(self.id):
            os.rmdir(path)
        shutil.rmtree(pathlib.Path("/", self.id), ignore_errors=True)  # crun takes / for a hierarchy that it did not find

    def close(self) -> list[str]:
        """Ends and forgets it, whatever became of it; gives what is left of it all the same."""
        if (self.runtime.state / self.id).exists():
            self.runtime("delete", "--force", self.id, code=None)
        left = [f"cgroup {path}" for path in groups_named(self.id)]
        left += [f"mount {line.split()[4]}" for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if self.id in line]
        if (self.runtime.state / self.id).exists():
            left.append(f"state {self.runtime.state / self.id}")
        if not any(entry.startswith("mount") for entry in left):
            shutil.rmtree(self.bundle, ignore_errors=True)
        return left


def groups_named(pattern: str) -> list[str]:
    """Control groups of that name in any hierarchy. (pathlib's glob fails where another program removes a group meanwhile.)"""
    return [path for depth in ("*", "*/*", "*/*/*", "*/*/*/*") for path in glob.glob(f"{CGROUPS}/{depth}/{pattern}")]


def around_hybrid(command: list[str] = ()) -> list[str]:
    """crun refuses a host whose version 2 tree has controllers beside version 1: hides their list from it."""
    if not V2_CONTROLLERS.exists():
        return list(command)
    script = f'mount --bind /dev/null {V2_CONTROLLERS} && exec "$@"'
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh", *command]


def runtime_program(name: str) -> str:
    return str(BIN / name) if name == "berth-oci" else name


def runtime(name: str) -> Runtime:
    return Runtime(name, runtime_program(name), around_hybrid() if name == "crun" else [])
