"""Debian's standard kernel (linux-image-amd64) as apt-get gives it, unpacked once below build/cache, and the initrd that Debian's
mkinitramfs makes for it."""
import fcntl
import os
import pathlib
import shutil
import subprocess

import pytest
from paths import CACHE as CACHES

CACHE = CACHES / "kernel-standard"
SETTINGS = "MODULES=list\nCOMPRESS=gzip\n"
MODULES = "virtio_pci\nvirtio_blk\next4\n"
# mkinitramfs looks below /lib/modules and /boot alone: its own mount namespace shows it the kernel's files there.
MAKE = """set -e
mount -t overlay -o lowerdir="$1/lib:/usr/lib" overlay /usr/lib
mount --bind "$1/boot" /boot
mkinitramfs -d "$2" -o "$3" "$4"
"""


def standard_kernel() -> tuple[pathlib.Path, pathlib.Path]:
    """The bzImage and the initrd."""
    if os.geteuid() != 0 or not shutil.which("mkinitramfs", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs root and mkinitramfs (Debian's package initramfs-tools-core)")
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / "root"
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            fetch(root)
        kernel = next((root / "boot").glob("vmlinuz-*"))
        initrd = CACHE / "initrd"
        if not initrd.exists():
            make_initrd(root, kernel.name.removeprefix("vmlinuz-"), initrd)
    return kernel, initrd


def fetch(root: pathlib.Path) -> None:
    depends = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=False)
    names = [line.split()[-1] for line in depends.stdout.splitlines() if "linux-image-" in line and "Depends" in line]
    if not names or subprocess.run(["apt-get", "download", names[0]], cwd=CACHE, capture_output=True, check=False).returncode:
        pytest.skip("cannot download linux-image-amd64 with apt-get")
    unpacked = CACHE / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    package = next(CACHE.glob("linux-image-*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
    package.unlink()
    unpacked.rename(root)


def make_initrd(root: pathlib.Path, version: str, initrd: pathlib.Path) -> None:
    subprocess.run(["depmod", "-b", root, version], check=True)
    settings = CACHE / "initramfs-tools"
    shutil.rmtree(settings, ignore_errors=True)
    shutil.copytree("/etc/initramfs-tools", settings)
    (settings / "conf.d/guest").write_text(SETTINGS)
    (settings / "modules").write_text(MODULES)
    fresh = initrd.with_suffix(".new")
    subprocess.run(["unshare", "-m", "sh", "-c", MAKE, "sh", root, settings, fresh, version], check=True, timeout=300)
    fresh.rename(initrd)
