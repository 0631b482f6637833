"""Machines for tests: descriptions for berth-vmm, small kernels of a few bytes, Debian's kernel, initramfs archives."""
import fcntl
import functools
import json
import pathlib
import shutil
import struct
import subprocess
import threading

import pytest
from paths import BIN, ROOT

CACHE = ROOT / "build/cache/kernel"
VMM = BIN / "berth-vmm"


def command(directory: pathlib.Path, **description) -> list:
    """Writes the description; what is not given is small."""
    path = directory / "machine.json"
    settings = {key: str(value) if isinstance(value, pathlib.Path) else value for key, value in description.items()}
    path.write_text(json.dumps({"engine": "soft", "memory": "64M", **settings}))
    return [VMM, path]


def run(directory: pathlib.Path, *, timeout: float = 60, stdin: bytes = b"", **description) -> subprocess.CompletedProcess:
    """Runs one machine to its end; its serial port's output is `stdout`."""
    return subprocess.run(command(directory, **description), input=stdin, capture_output=True, timeout=timeout, check=False)


def converse(directory: pathlib.Path, prompt: bytes, answer: bytes, *, timeout: float = 120, **description) -> tuple[int, bytes]:
    """Types `answer` once the machine has printed `prompt`, as a kernel forgets what comes before it listens. Gives the exit
    code and all output."""
    with subprocess.Popen(command(directory, **description), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as ran:
        watchdog = threading.Timer(timeout, ran.kill)
        watchdog.start()
        output = b""
        while prompt not in output and (more := ran.stdout.read1()):
            output += more
        ran.stdin.write(answer)
        ran.stdin.flush()
        output += ran.stdout.read()
        watchdog.cancel()
    return ran.returncode, output


def multiboot(code: bytes, path: pathlib.Path) -> pathlib.Path:
    """A kernel whose 32-bit code starts at 0x100020, behind its header."""
    magic, flags, load = 0x1BADB002, 0x10000, 0x100000
    header = struct.pack("<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, load, load, 0, 0, load + 32)
    path.write_bytes(header + code)
    return path


def archive(tree: pathlib.Path) -> bytes:
    """A directory as an initramfs."""
    names = "\0".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    made = subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], input=names.encode(), cwd=tree,
                          capture_output=True, check=True)
    return made.stdout


def busybox_tree(tree: pathlib.Path, script: str) -> pathlib.Path:
    """Files of a system whose init is a shell script with /proc, /sys and /dev."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox-static")
    (tree / "bin").mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for name in ("proc", "sys", "dev"):
        (tree / name).mkdir()
    (tree / "init").write_text("#!/bin/busybox sh\nB=/bin/busybox\n$B mount -t proc proc /proc\n$B mount -t sysfs sys /sys\n"
                               f"$B mount -t devtmpfs dev /dev\n{script}\n$B poweroff -f\n")
    (tree / "init").chmod(0o755)
    return tree


class DebianKernel:
    """linux-image-cloud-amd64 as apt-get gives it, unpacked once below build/cache."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.bzimage = next((root / "boot").glob("vmlinuz-*"))
        self.modules = {path.name: path for path in root.rglob("*.ko")}

    @functools.cached_property
    def vmlinux(self) -> pathlib.Path:
        """The bzImage's payload (boot protocol: 0x248), which Debian packs with lz4."""
        path = CACHE / f"{self.bzimage.name}.elf"
        if not path.exists():
            image = self.bzimage.read_bytes()
            offset, length = struct.unpack_from("<II", image, 0x248)
            start = (image[0x1F1] + 1) * 512 + offset
            # The kernel's build appends the unpacked size, which is no part of the stream.
            unpacked = subprocess.run(["lz4", "-dcq"], input=image[start:start + length - 4], capture_output=True, check=True)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(unpacked.stdout)
            fresh.rename(path)
        return path


def debian_package() -> pathlib.Path:
    """The package itself, as apt-get gives it."""
    debian_kernel()
    return next(CACHE.glob("linux-image-*.deb"))


def debian_kernel() -> DebianKernel:
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / "root"
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists() or not any(CACHE.glob("linux-image-*.deb")):
            fetch(root)
    return DebianKernel(root)


def fetch(root: pathlib.Path) -> None:
    depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False)
    names = [line.split()[-1] for line in depends.stdout.splitlines() if "linux-image-" in line and "Depends" in line]
    if not names or subprocess.run(["apt-get", "download", names[0]], cwd=CACHE, capture_output=True, check=False).returncode:
        pytest.skip("cannot download linux-image-cloud-amd64 with apt-get")
    package = next(CACHE.glob("linux-image-*.deb"))
    unpacked = CACHE / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
    shutil.rmtree(root, ignore_errors=True)
    unpacked.rename(root)
