"""Debian's own kernel, unmodified, on the software engine."""
import hashlib
import os
import shutil

import machine
import pytest

MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "virtio-rng")


@pytest.fixture(scope="module")
def kernel():
    return machine.debian_kernel()


def described(directory, kernel, script, modules=(), **description) -> dict:
    tree = machine.busybox_tree(directory / "tree", script)
    for name in modules:
        shutil.copy(kernel.modules[f"{name}.ko"], tree)
    initramfs = directory / "initramfs"
    initramfs.write_bytes(machine.archive(tree))
    return {"kernel": kernel.vmlinux, "initramfs": initramfs, "memory": "256M",
            "command_line": "console=ttyS0 panic=-1 quiet", **description}


def boot(directory, kernel, script, modules=(), **description):
    return machine.run(directory, timeout=120, **described(directory, kernel, script, modules, **description))


@pytest.mark.parametrize("engine", ["interpreter", "soft"])
def test_boots_to_a_shell_that_computes_and_sleeps(kernel, tmp_path, engine):
    ended = boot(tmp_path, kernel, "echo up $($B uname -m) $((6*7)); $B sleep 0.2; echo slept", engine=engine)
    assert ended.returncode == 0, ended
    assert b"up x86_64 42" in ended.stdout and b"slept" in ended.stdout


def test_a_shell_on_the_serial_line_answers(kernel, tmp_path):
    machine_of = described(tmp_path, kernel, "exec $B sh -i")
    code, output = machine.converse(tmp_path, b"/ # ", b"echo $((1234*2))\n/bin/busybox poweroff -f\n", **machine_of)
    assert code == 0 and b"2468" in output, output


def test_a_panic_is_no_power_off(kernel, tmp_path):
    ended = boot(tmp_path, kernel, "echo c > /proc/sysrq-trigger")
    assert ended.returncode == 64, ended


def test_disks_and_entropy_by_virtio(kernel, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(os.urandom(1 << 20))
    before = hashlib.md5(disk.read_bytes()).hexdigest()
    script = "\n".join([*(f"$B insmod /{name}.ko" for name in MODULES),
                        "echo serial $($B cat /sys/block/vda/serial)", "$B md5sum /dev/vda",
                        "echo written | $B dd of=/dev/vda bs=512 seek=9 conv=sync,fsync",
                        "$B head -c 16 /dev/hwrng | $B wc -c"])
    # rng-core is built in or a module of its own, depending on the kernel.
    modules = (*MODULES, *(["rng-core"] if "rng-core.ko" in kernel.modules else []))
    script = "[ -e /rng-core.ko ] && $B insmod /rng-core.ko\n" + script
    ended = boot(tmp_path, kernel, script, modules, disks=[{"path": str(disk), "id": "berth-1"}])
    assert ended.returncode == 0, ended
    assert b"serial berth-1" in ended.stdout and before.encode() in ended.stdout and b"\n16" in ended.stdout
    assert disk.read_bytes()[9 * 512:9 * 512 + 8] == b"written\n"
