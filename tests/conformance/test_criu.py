"""berth-oci checkpoint and restore through CRIU on a stock Debian kernel in QEMU: CRIU is particular about the kernel it runs on."""
import json
import pathlib
import re
import shutil

import guest
import oci
import pytest
from paths import BIN

INIT = """#!/bin/busybox sh
/bin/busybox mkdir /new
/bin/busybox mount -t tmpfs tmpfs /new
for name in *; do [ "$name" = new ] || /bin/busybox cp -a "$name" /new/; done
exec /bin/busybox switch_root /new /second
"""
SECOND = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mkdir -p /run /data
mount -t cgroup2 cgroup2 /sys/fs/cgroup; ifconfig lo up
for name in libcrc32c nfnetlink nf_tables; do insmod /$name.ko || echo "no $name"; done
mkdir -p /bundle/rootfs/bin /bundle/rootfs/proc /bundle/rootfs/sys /bundle/rootfs/dev /bundle/rootfs/tmp /bundle/rootfs/data
cp /bin/busybox /bundle/rootfs/bin/; for name in sh sleep cat hostname; do ln -s busybox /bundle/rootfs/bin/$name; done
oci="/berth-oci --root /run/conf"; group=/sys/fs/cgroup/conf/web
count() { cat /data/count; }
grows() { before=$(count); sleep 2; test "$(count)" -gt "$before"; }
"""
# Each line of it: a name, and a shell command whose status decides.
CHECKS = {
    "criu works here": "criu check > /tmp/check 2>&1 || { tail -5 /tmp/check; false; }",
    "a container counts": "$oci run -d --bundle /bundle web < /dev/null > /dev/null 2>&1 && sleep 2 && grows",
    "checkpoint and go on": "$oci checkpoint --leave-running --image-path /images/going web && grows",
    "checkpoint": "at=$(count) && $oci checkpoint --image-path /images/first --work-path /work web && test -s /work/dump.log",
    "nothing is left": "! $oci state web 2> /dev/null && test ! -e $group && before=$(count) && sleep 1 && test $(count) = $before",
    "restore": """$oci restore -d --bundle /bundle --image-path /images/first --work-path /work --pid-file /run/pid web \
        < /dev/null > /dev/null && $oci state web | grep -q '"status": "running"'""",
    "it goes on where it was": 'grows && test "$(count)" -gt "$at"',
    "its number is told": 'test "$(cat /run/pid)" = "$(cat $group/cgroup.procs | head -n 1)"',
    "its group has the limits": "test $(cat $group/memory.max) = 67108864 && test $(cat $group/pids.max) = 20",
    "exec enters it": 'test "$($oci exec web hostname)" = conformance && test "$($oci exec web cat /tmp/kept)" = kept',
    "pre-dump": "$oci checkpoint --pre-dump --image-path /images/before web && grows",
    "a dump on top of it": "$oci checkpoint --parent-path ../before --image-path /images/after web",
    "restore of both": "$oci restore -d --bundle /bundle --image-path /images/after web < /dev/null > /dev/null && grows",
    "delete": "$oci delete --force web && test ! -e $group && ! $oci state web 2> /dev/null",
    "images that are not there": "! $oci restore -d --bundle /bundle --image-path /images/none web < /dev/null && ! $oci state web 2> /dev/null",
    "broken images": """mkdir -p /images/broken && cp /images/first/* /images/broken/ && rm /images/broken/core-1.img &&
        ! $oci restore -d --bundle /bundle --image-path /images/broken web < /dev/null && test ! -e $group""",
    "in the foreground": """$oci restore --bundle /bundle --image-path /images/after web < /dev/null > /dev/null & sleep 3; grows &&
        $oci kill web KILL; wait $!; test $? = 137""",
}


def config() -> dict:
    made = oci.default_config()
    script = "echo kept > /tmp/kept; i=0; while :; do i=$((i + 1)); echo $i > /data/.new && cat /data/.new > /data/count; sleep 0.2; done"
    made["process"]["args"] = ["sh", "-c", script]
    made["mounts"] = [mount for mount in oci.MOUNTS if mount["destination"] in ("/proc", "/dev", "/dev/pts", "/dev/shm")]
    made["mounts"] += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
                       {"destination": "/data", "type": "bind", "source": "/data", "options": ["bind"]}]
    made["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    made["linux"]["cgroupsPath"] = "/conf/web"
    made["linux"]["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}
    return made


def test_checkpoint_and_restore(tmp_path):
    criu = shutil.which("criu")
    if not criu:
        pytest.skip("no criu (Debian's package criu)")
    files = guest.with_libraries(pathlib.Path(criu), BIN / "berth-oci")
    lines = [f"if {command}; then echo 'CHECK {name}: ok'; else echo 'CHECK {name}: failed'; fi" for name, command in CHECKS.items()]
    script = SECOND + "\n".join(lines) + "\necho all done\npoweroff -f\n"
    files |= {"init": INIT.encode(), "second": script.encode(), "bundle/config.json": json.dumps(config()).encode(),
              **{name: guest.module(name) for name in guest.MODULES}}
    guest.write_initramfs(tmp_path / "initramfs.gz", files)
    output = guest.boot(tmp_path / "initramfs.gz")
    assert "all done" in output, output[-6000:]
    if "CHECK criu works here: failed" in output:
        pytest.skip("criu check fails in the guest: " + "; ".join(re.findall(r"Error \(criu[ -~]*", output)))
    failed = [name for name in CHECKS if f"CHECK {name}: ok" not in output]
    assert not failed, f"{failed}\n{output[-6000:]}"
