"""podman with a private store, as a peer to measure against."""
import pathlib
import shutil
import subprocess
import tempfile

V2_CONTROLLERS = pathlib.Path("/sys/fs/cgroup/unified/cgroup.controllers")
# Where root lacks CAP_SYS_RESOURCE podman's own default limits fail; these are low enough everywhere.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


def around_hybrid(command: list[str]) -> list[str]:
    """crun refuses a host whose version 2 tree has controllers beside version 1: hides their list from it."""
    if not V2_CONTROLLERS.exists():
        return command
    script = f'mount --bind /dev/null {V2_CONTROLLERS} && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command]


class Podman:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-podman-", dir="/var/tmp"))

    def command(self, *words, runtime: str = "runc") -> list[str]:
        store = ["--root", self.directory / "root", "--runroot", self.directory / "run"]
        command = ["podman", *store, "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
                   "--log-level", "error", "--runtime", runtime, *words]
        command = [str(word) for word in command]
        return around_hybrid(command) if runtime == "crun" else command

    def __call__(self, *words, **options) -> str:
        done = subprocess.run(self.command(*words, **options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"podman {words}: {done.stderr.strip()}")
        return done.stdout

    def __enter__(self) -> "Podman":
        return self

    def __exit__(self, *_) -> None:
        subprocess.run(self.command("rm", "--all", "--force"), capture_output=True, check=False)
        for mount in sorted(self._mounts(), reverse=True):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _mounts(self) -> list[str]:
        lines = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return [line.split()[4] for line in lines if str(self.directory) in line.split()[4]]


def missing(*programs: str) -> str:
    """Why the peers cannot be measured; empty if they can."""
    absent = [program for program in programs if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}" if absent else ""
