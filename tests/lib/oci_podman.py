"""podman with a private store and one OCI runtime, as root or as an ordinary user."""
import json
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import uuid

from berth import Done, Terminal
from oci import V2_CONTROLLERS, read_back
from paths import BIN

IMAGE = "localhost/busybox:latest"
# Where root lacks CAP_SYS_RESOURCE podman's own default limits fail with the peers; these are low enough everywhere.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
TIMEOUT_S = 90


def wrapper(runtime: str, user: pwd.struct_passwd | None) -> list[str]:
    """A mount namespace in which crun takes the hybrid host for a version 1 one, and users may open the tunnel device that their
    networks need; then the user."""
    steps = []
    if runtime == "crun" and V2_CONTROLLERS.exists():
        steps.append(f"mount --bind /dev/null {V2_CONTROLLERS}")
    if user:
        steps.append("mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200")
    command = []
    if steps:
        command = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh"]
    if user:
        command += ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--inh-caps=-all", "env", "-i",
                    f"HOME={user.pw_dir}", f"USER={user.pw_name}", f"XDG_RUNTIME_DIR={user.pw_dir}/run", "TERM=xterm",
                    "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]
    return command


class Podman:
    """`podman("run", "--rm", IMAGE, "true")`; containers are made with LIMITS unless `limits` is false."""

    def __init__(self, runtime: str, archive: pathlib.Path, user: pwd.struct_passwd | None = None):
        self.runtime, self.user = runtime, user
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-podman-", dir=user.pw_dir if user else "/var/tmp"))
        self.program = self._program()
        self.wrapper = wrapper(runtime, user)
        self.networks: list[str] = []
        if user:
            shutil.chown(self.directory, user.pw_uid, user.pw_gid)
            (pathlib.Path(user.pw_dir) / "run").mkdir(mode=0o700, exist_ok=True)
            shutil.chown(pathlib.Path(user.pw_dir) / "run", user.pw_uid, user.pw_gid)
            archive = pathlib.Path(shutil.copy(archive, self.directory / "image.tar"))
            archive.chmod(0o644)
        self("load", "--quiet", "--input", archive)

    def _program(self) -> str:
        if self.runtime != "berth-oci":
            return self.runtime
        if not self.user:
            return str(BIN / "berth-oci")
        copied = shutil.copy(BIN / "berth-oci", self.directory / "berth-oci")  # the checkout may be where others cannot look
        pathlib.Path(copied).chmod(0o755)
        return str(copied)

    def command(self, *words) -> list[str]:
        options = ["--root", self.directory / "root", "--runroot", self.directory / "run", "--tmpdir", self.directory / "tmp",
                   "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--log-level", "error",
                   "--network-config-dir", self.directory / "networks", "--runtime", self.program]
        return [str(word) for word in [*self.wrapper, "podman", *options, *words]]

    def __call__(self, *words, code: int | None = 0, stdin: str | None = None, limits: bool = True) -> Done:
        words = list(words)
        if limits and words[0] in ("run", "create"):
            words[1:1] = LIMITS
        command = self.command(*words)
        source = {"input": stdin.encode()} if stdin is not None else {"stdin": subprocess.DEVNULL}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ran = subprocess.run(command, stdout=out, stderr=err, timeout=TIMEOUT_S, check=False, cwd="/", **source)
            done = Done(["podman", *words], ran.returncode, read_back(out), read_back(err))
        assert code is None or done.code == code, f"expected exit {code}: {done}"
        return done

    def run(self, *words, **options) -> Done:
        return self("run", "--rm", "--network", "none", *words, **options)

    def idle(self, *words, name: str = "") -> str:
        """A detached container that does nothing; gives its name."""
        name = name or f"idle-{uuid.uuid4().hex[:8]}"
        self("run", "--detach", "--name", name, "--network", "none", *words, IMAGE, "sleep", "1000")
        return name

    def terminal(self, *words) -> Terminal:
        return Terminal(self.command(*words))

    def inspect(self, name: str) -> dict:
        return json.loads(self("inspect", name).stdout)[0]

    def remove(self, *names) -> None:
        self("rm", "--force", "--time", "0", *names)

    def network(self, *words) -> str:
        self.networks.append(f"conf{uuid.uuid4().hex[:6]}")
        self("network", "create", *words, self.networks[-1])
        return self.networks[-1]

    def close(self) -> None:
        self("pod", "rm", "--all", "--force", "--time", "0", code=None)
        self("rm", "--all", "--force", "--time", "0", code=None)
        for name in self.networks:
            self("network", "rm", "--force", name, code=None)
        if self.user:
            self("system", "migrate", code=None)  # ends the process that keeps the user's namespaces
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()):
            if str(self.directory) in line.split()[4]:
                subprocess.run(["umount", "--lazy", line.split()[4]], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
