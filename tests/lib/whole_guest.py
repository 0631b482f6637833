"""A guest that has this machine's own files: Debian's cloud kernel in QEMU, its root this machine's / (read-only, by virtio-fs)
below a tmpfs that takes what is written. Programs, libraries and the build tree are where they are here."""
import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import time

import guest
import machine
import pytest
from paths import BIN, ROOT

VIRTIOFSD = pathlib.Path("/usr/lib/qemu/virtiofsd")
MODULES = ("virtio_pci", "virtiofs", "overlay", "loop", "ext4")
# /run, /tmp and /var/tmp are the guest's own, so is /dev. The latter two are on a disk: a tmpfs of this kernel cannot shift users.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for name in {modules}; do insmod /$name; done
mkdir -p /host /over /new
mount -t virtiofs -o ro host /host
mount -t tmpfs -o mode=755 tmpfs /over; mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /new
for name in proc sys dev; do mount --move /$name /new/$name; done
mkdir -p /new/dev/pts /new/dev/shm /new/lib/modules
for pair in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${{pair%:*}} /new/dev/${{pair#*:}}; done; ln -s /proc/self/fd /new/dev/fd
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts; mount -t tmpfs -o mode=1777 tmpfs /new/dev/shm
mount -t tmpfs -o mode=755 tmpfs /new/run; mkdir /new/run/disk;
mount --bind /new{modules_tree} /new/lib/modules
PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /new /bin/sh -c 'truncate -s 1G /run/image && mkfs.ext4 -q /run/image && mount -o loop /run/image /run/disk'
for name in tmp var/tmp; do mkdir -p -m 1777 /new/run/disk/$name; mount --bind /new/run/disk/$name /new/$name; done
for name in {checkout}; do mkdir -p /new$name; mount --bind /host$name /new$name; done  # they may be below one of these
mount -t cgroup2 -o nsdelegate cgroup2 /new/sys/fs/cgroup
cp /run-in-guest /new/run/in-guest; mkdir -p /new/run/systemd/system; cp /in-guest.* /new/run/systemd/system/
ifconfig lo up; hostname guest; rm -f /new/.dockerenv  # by which systemd would take itself for one in a container
exec switch_root /new {start}
"""

SYSTEMD = "/lib/systemd/systemd --unit=in-guest.target --show-status=false"
UNITS = {
    "in-guest.target": "[Unit]\nRequires=in-guest.service\n",
    "in-guest.service": "[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nType=oneshot\nExecStart=/run/in-guest\n"
                        "StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n",
}


def modules_tree() -> pathlib.Path:
    """The kernel's modules, with the index that modprobe reads."""
    tree = machine.debian_kernel().root / "lib/modules"
    version = next(tree.iterdir()).name
    if not (tree / version / "modules.dep").exists():
        subprocess.run(["depmod", "-b", tree.parent.parent, version], check=True)
    return tree


def modules_in_order(tree: pathlib.Path) -> list[pathlib.Path]:
    """What MODULES need, and they themselves."""
    show = ["modprobe", "-d", tree.parent.parent, "-S", next(tree.iterdir()).name, "--show-depends"]
    wanted: dict[pathlib.Path, None] = {}
    for name in MODULES:
        listed = subprocess.run([*show, name], capture_output=True, text=True, check=True).stdout
        wanted |= {pathlib.Path(line.split()[1]): None for line in listed.splitlines() if line.startswith("insmod ")}
    return list(wanted)


@contextlib.contextmanager
def this_machines_files():
    """The socket of a server of /, which nobody can write to through it."""
    with tempfile.TemporaryDirectory(prefix="berth-guest-") as directory:
        socket = pathlib.Path(directory) / "files"
        server = subprocess.Popen([VIRTIOFSD, f"--socket-path={socket}", "-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always",
                                   "-o", "readdirplus", "-f"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            until = time.monotonic() + 10
            while not socket.exists():
                assert server.poll() is None and time.monotonic() < until, server.stderr.read().decode()
                time.sleep(0.02)
            yield socket
        finally:
            server.kill()
            server.wait()


def boot(script: str, *, systemd: bool = False, timeout_s: int = 600, memory_mib: int = 2048) -> str:
    """What the guest writes to its console until it switches itself off. The script is its first process, or a service of a real
    systemd."""
    if not shutil.which("qemu-system-x86_64") or not VIRTIOFSD.exists():
        pytest.skip("no QEMU or virtiofsd (Debian's packages qemu-system-x86 and qemu-system-common)")
    tree = modules_tree()
    modules = modules_in_order(tree)
    init = INIT.format(modules=" ".join(path.name for path in modules), modules_tree=tree, checkout=f"{ROOT} {BIN}",
                       start=SYSTEMD if systemd else "/run/in-guest")
    texts = {"init": init, "run-in-guest": script, **UNITS}
    files = {name: text.encode() for name, text in texts.items()} | {path.name: path.read_bytes() for path in modules}
    with this_machines_files() as socket:
        initramfs = socket.parent / "initramfs.gz"
        guest.write_initramfs(initramfs, files)
        command = ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", str(memory_mib), "-smp", "2", "-nographic", "-no-reboot",
                   "-object", f"memory-backend-memfd,id=memory,size={memory_mib}M,share=on", "-numa", "node,memdev=memory",
                   "-chardev", f"socket,id=files,path={socket}", "-device", "vhost-user-fs-pci,chardev=files,tag=host",
                   "-kernel", machine.debian_kernel().bzimage, "-initrd", initramfs,
                   "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all"]
        console = socket.parent / "console"
        with console.open("wb") as out:
            try:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout_s, check=False)
            except subprocess.TimeoutExpired:
                out.write(b"\n(still running after %d s)\n" % timeout_s)
        return console.read_text(encoding="utf-8", errors="replace").replace("\r", "")


def checks(commands: dict[str, str]) -> list[str]:
    """Lines of a script: each shell command's status decides what is said of its name."""
    return [f"if {command}; then echo 'CHECK {name}: ok'; else echo 'CHECK {name}: failed'; fi" for name, command in commands.items()]


def assert_all(names, output: str) -> None:
    failed = [name for name in names if f"CHECK {name}: ok" not in output]
    assert not failed, f"{failed}\n{output[-6000:]}"
