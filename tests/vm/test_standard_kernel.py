"""Debian's standard kernel, which packs itself with xz and has drivers of every kind, with an initrd of Debian's own tools."""
import subprocess

import machine
import pytest
import standard_kernel


@pytest.fixture(scope="module")
def described():
    kernel, initrd = standard_kernel.standard_kernel()
    return {"kernel": kernel, "initramfs": initrd, "memory": "512M", "timeout": 240}


def test_the_initrd_s_shell_answers(described, tmp_path):
    """Without panic=, by which Debian's initrd reboots rather than give a shell."""
    code, output = machine.converse(tmp_path, b"(initramfs) ", b"echo $((1234*2)) $(uname -v | cut -c1-4)\npoweroff -f\n", **described,
                                    command_line="console=ttyS0 quiet break=premount")
    assert code == 0 and b"2468 #1 S" in output, output[-3000:]


def test_the_initrd_hands_over_to_a_root_disk(described, tmp_path):
    tree = machine.busybox_tree(tmp_path / "tree", "echo root $($B awk '$2 == \"/\" {print $1, $3}' /proc/mounts)")
    for name in ("sbin", "etc", "root", "run", "tmp"):
        (tree / name).mkdir()
    (tree / "init").rename(tree / "sbin/init")
    (tree / "bin/sh").symlink_to("busybox")
    disk = tmp_path / "disk"
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, disk, "32M"], check=True)
    ended = machine.run(tmp_path, **described, disks=[{"path": str(disk), "id": "root"}],
                        command_line="console=ttyS0 panic=-1 quiet root=/dev/vda rw")
    assert ended.returncode == 0 and b"root /dev/vda ext4" in ended.stdout, ended.stdout[-3000:]
