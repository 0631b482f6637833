"""A containerd of its own, with one OCI runtime for `ctr` and for its CRI plugin."""
import json
import pathlib
import shutil
import subprocess
import tempfile

from berth import Done, Terminal, wait_until
from oci import around_hybrid, read_back
from paths import BIN

IMAGE = "localhost/busybox:latest"
CNI_PLUGINS = "/usr/lib/cni"
TIMEOUT_S = 60

CONFIG = """version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs",
                    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{directory}/containerd.sock"
[ttrpc]
  address = "{directory}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "tested"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested.options]
        BinaryName = "{program}"
"""
NETWORK = {"cniVersion": "0.4.0", "name": "conf-cri", "plugins": [
    {"type": "bridge", "bridge": "conf-cri0", "isGateway": True, "ipMasq": True,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.213.9.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}


class Containerd:
    """`ctr("run", "--rm", IMAGE, "id", "true")`."""

    def __init__(self, runtime: str, archive: pathlib.Path, pause: pathlib.Path, pause_image: str):
        self.runtime = runtime
        self.program = str(BIN / runtime) if runtime == "berth-oci" else shutil.which(runtime, path="/usr/bin:/usr/sbin")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-ctd-", dir="/var/tmp"))
        self.address = self.directory / "containerd.sock"
        network = {**NETWORK}
        network["plugins"][0]["ipam"]["dataDir"] = str(self.directory / "ipam")
        (self.directory / "cni").mkdir()
        (self.directory / "cni/10-conf.conflist").write_text(json.dumps(network))
        config = self.directory / "config.toml"
        config.write_text(CONFIG.format(directory=self.directory, image=pause_image, plugins=CNI_PLUGINS, program=self.program))
        wrapper = around_hybrid() if runtime == "crun" else []
        with open(self.directory / "log", "wb") as log:
            self.daemon = subprocess.Popen([*wrapper, "containerd", "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self._answers, timeout=30, every=0.1)
            for namespace, file in (("default", archive), ("k8s.io", archive), ("k8s.io", pause)):
                self("images", "import", file, namespace=namespace)
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        assert self.daemon.poll() is None, (self.directory / "log").read_text()[-3000:]
        return self("version", code=None).code == 0

    def command(self, *words, namespace: str = "default") -> list[str]:
        return ["ctr", "--address", str(self.address), "--namespace", namespace, *map(str, words)]

    def __call__(self, *words, code: int | None = 0, stdin: str | None = None, namespace: str = "default") -> Done:
        command = self.command(*words, namespace=namespace)
        source = {"input": stdin.encode()} if stdin is not None else {"stdin": subprocess.DEVNULL}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ran = subprocess.run(command, stdout=out, stderr=err, timeout=TIMEOUT_S, check=False, **source)
            done = Done(command, ran.returncode, read_back(out), read_back(err))
        assert code is None or done.code == code, f"expected exit {code}: {done}"
        return done

    def options(self) -> list[str]:
        return ["--runc-binary", self.program]

    def run(self, name: str, *words, options: tuple = (), **more) -> Done:
        return self("run", "--rm", *self.options(), *options, IMAGE, name, *words, **more)

    def idle(self, name: str, *options) -> str:
        self("run", "--detach", *self.options(), *options, IMAGE, name, "sleep", "1000")
        return name

    def terminal(self, *words) -> Terminal:
        return Terminal(self.command(*words))

    def status(self, name: str) -> str:
        rows = {row.split()[0]: row.split()[2] for row in self("tasks", "list").stdout.splitlines()[1:]}
        return rows.get(name, "")

    def remove(self, name: str) -> None:
        self("tasks", "delete", "--force", name, code=None)
        self("containers", "delete", name, code=None)

    def close(self) -> None:
        for namespace in ("default", "k8s.io"):
            listed = self("containers", "list", "--quiet", namespace=namespace, code=None).stdout.split()
            for name in listed:
                self("tasks", "delete", "--force", name, namespace=namespace, code=None)
                self("containers", "delete", name, namespace=namespace, code=None)
        self.daemon.terminate()
        try:
            self.daemon.wait(15)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
        for mount in sorted((point for point in mounts if point.startswith(str(self.directory))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
