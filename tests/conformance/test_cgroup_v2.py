"""cgroup v2 for real: Debian's cloud kernel, booted under emulation with every controller in the v2 tree, runs the
control group tests of src/sys. On a machine of v1 controllers this is the only place where v2's limits are enforced."""
import gzip
import pathlib
import re
import shutil
import subprocess

import pytest
from paths import BIN, CACHE

BUSYBOX = pathlib.Path("/bin/busybox")
# Without the one that measures a quota: an emulated processor's time is not the machine's.
TESTS = "*CgroupTest*V2:CgroupV2*:CgroupHost*:Resources*:Capability*:-*QuotaHolds*"
INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
/sys_test --gtest_filter='{TESTS}' 2>&1
echo "exit status $?"
poweroff -f
"""


def fetch_kernel() -> pathlib.Path:
    """The newest kernel image of Debian's linux-image-cloud-amd64, kept for the next time."""
    kept = sorted((CACHE / "kernel").glob("boot/vmlinuz-*"))
    if kept:
        return kept[-1]
    listed = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False)
    package = re.search(r"Depends: (linux-image-\S+)", listed.stdout)
    if not package:
        pytest.skip("apt knows no linux-image-cloud-amd64")
    directory = CACHE / "kernel"
    directory.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", package.group(1)], cwd=directory, capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"cannot download {package.group(1)}: {got.stderr.strip()}")
    for archive in directory.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, directory], check=True)
        archive.unlink()
    shutil.rmtree(directory / "lib", ignore_errors=True)  # the modules: cgroup v2 needs none
    return sorted(directory.glob("boot/vmlinuz-*"))[-1]


def libraries_of(program: pathlib.Path) -> list[pathlib.Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(path) for path in sorted(set(re.findall(r"(/\S+) \(0x", listed)))]


def cpio_entry(name: str, mode: int, data: bytes = b"") -> bytes:
    """One file of an initramfs, in the "newc" form of the kernel's driver-api/early-userspace/buffer-format."""
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    entry += b"\0" * (-len(entry) % 4)
    return entry + data + b"\0" * (-len(data) % 4)


def write_initramfs(target: pathlib.Path, files: dict[str, bytes]) -> None:
    directories = {"proc", "sys", "dev", "tmp", "bin"}
    directories |= {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents if str(parent) != "."}
    content = b"".join(cpio_entry(name, 0o040755) for name in sorted(directories))
    content += b"".join(cpio_entry(name, 0o100755, data) for name, data in files.items())
    target.write_bytes(gzip.compress(content + cpio_entry("TRAILER!!!", 0), 1))


def boot(kernel: pathlib.Path, initramfs: pathlib.Path) -> str:
    machine = ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "512", "-smp", "2", "-nographic", "-no-reboot",
               "-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all"]
    done = subprocess.run(machine, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    return done.stdout.decode(errors="replace").replace("\r", "")


def test_limits_freezing_and_devices_on_a_v2_kernel(tmp_path):
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("no qemu-system-x86_64 (Debian's package qemu-system-x86)")
    program = BIN / "sys_test"
    if not program.exists():
        pytest.skip(f"no {program}: build the tests")
    files = {str(path).lstrip("/"): path.read_bytes() for path in libraries_of(program)}
    files |= {"init": INIT.encode(), "sys_test": program.read_bytes(), "bin/busybox": BUSYBOX.read_bytes(),
              "etc/passwd": b"root:x:0:0::/:/bin/sh\n"}
    write_initramfs(tmp_path / "initramfs.gz", files)
    output = boot(fetch_kernel(), tmp_path / "initramfs.gz")
    passed = re.search(r"PASSED  \] \S*?(\d+) tests", output)
    assert passed and "exit status 0" in output, output[-8000:]
    assert "CgroupTest.MemoryLimitKillsInsideOnly/V2" in output
    skipped = sorted(set(re.findall(r"SKIPPED \] \S*?(\S+/V2) ", output)))
    assert not skipped, f"nothing of v2 may be missing there: {skipped}"
    assert int(passed.group(1)) >= 20, output[-8000:]
