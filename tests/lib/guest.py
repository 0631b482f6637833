"""A Linux of Debian's own in QEMU: its cloud kernel with an initramfs made of the files a test gives. Emulated, so that
it runs wherever the tests do; what takes seconds there takes a fraction on the machine itself."""
import gzip
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest
from paths import CACHE

BUSYBOX = pathlib.Path("/bin/busybox")
MODULES = {"overlay.ko": "fs/overlayfs", "loop.ko": "drivers/block"}
DIRECTORIES = {"proc", "sys", "dev", "tmp", "bin", "etc"}


def fetch_kernel() -> pathlib.Path:
    """The newest kernel image of Debian's linux-image-cloud-amd64, kept for the next time; MODULES lie beside it."""
    directory = CACHE / "kernel"
    kept = sorted(directory.glob("boot/vmlinuz-*"))
    if kept and all((directory / name).exists() for name in MODULES):
        return kept[-1]
    listed = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False)
    package = re.search(r"Depends: (linux-image-\S+)", listed.stdout)
    if not package:
        pytest.skip("apt knows no linux-image-cloud-amd64")
    directory.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", package.group(1)], cwd=directory, capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"cannot download {package.group(1)}: {got.stderr.strip()}")
    for archive in directory.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, directory], check=True)
        archive.unlink()
    for name, place in MODULES.items():
        found = sorted(directory.glob(f"lib/modules/*/kernel/{place}/{name}"))
        shutil.copy(found[-1], directory / name)
    shutil.rmtree(directory / "lib", ignore_errors=True)
    return sorted(directory.glob("boot/vmlinuz-*"))[-1]


def module(name: str) -> bytes:
    fetch_kernel()
    return (CACHE / "kernel" / name).read_bytes()


def libraries_of(program: pathlib.Path) -> list[pathlib.Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [pathlib.Path(path) for path in sorted(set(re.findall(r"(/\S+) \(0x", listed)))]


def with_libraries(*programs: pathlib.Path) -> dict[str, bytes]:
    """Programs in the guest's top directory, and the libraries they need where they look for them."""
    files = {program.name: program.read_bytes() for program in programs}
    for program in programs:
        files |= {str(path).lstrip("/"): path.read_bytes() for path in libraries_of(program)}
    return files


def cpio_entry(name: str, mode: int, data: bytes = b"") -> bytes:
    """One file of an initramfs, in the "newc" form of the kernel's driver-api/early-userspace/buffer-format."""
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    entry += b"\0" * (-len(entry) % 4)
    return entry + data + b"\0" * (-len(data) % 4)


def tree_entries(root: pathlib.Path) -> bytes:
    """A directory of this machine, at the same place in the guest."""
    parents = [parent for parent in reversed(root.parents) if str(parent) != "/"]
    content = b"".join(cpio_entry(str(path).lstrip("/"), 0o040755) for path in [*parents, root])
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            path = pathlib.Path(directory) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                data = os.readlink(path).encode()
            else:
                data = path.read_bytes() if stat.S_ISREG(mode) else b""
            if not stat.S_ISSOCK(mode):
                content += cpio_entry(str(path).lstrip("/"), mode, data)
    return content


def write_initramfs(target: pathlib.Path, files: dict[str, bytes], trees: tuple[pathlib.Path, ...] = ()) -> None:
    files = {"bin/busybox": BUSYBOX.read_bytes(), "etc/passwd": b"root:x:0:0::/:/bin/sh\n", **files}
    directories = DIRECTORIES | {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents
                                 if str(parent) != "."}
    content = b"".join(cpio_entry(name, 0o040755) for name in sorted(directories))
    content += b"".join(cpio_entry(name, 0o100644 if name.startswith("etc/") else 0o100755, data)
                        for name, data in files.items())
    content += b"".join(tree_entries(tree) for tree in trees)
    target.write_bytes(gzip.compress(content + cpio_entry("TRAILER!!!", 0), 1))


def boot(initramfs: pathlib.Path, timeout_s: int = 300) -> str:
    """What the guest writes to its console until it switches itself off."""
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("no qemu-system-x86_64 (Debian's package qemu-system-x86)")
    machine = ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "768", "-smp", "2", "-nographic", "-no-reboot",
               "-kernel", fetch_kernel(), "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all"]
    done = subprocess.run(machine, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    return done.stdout.decode(errors="replace").replace("\r", "")
