"""cgroup v2 as a stock Debian kernel has it: the kernel of linux-image-cloud-amd64 boots in QEMU, once with the tests of
src/sys and src/isolate that touch control groups, once with whole instances. On a machine of v1 controllers this is the
only place where v2's limits are enforced."""
import re

import guest
import images
import pytest
from berth import Berth
from paths import BIN

# Without the one that measures a quota: an emulated processor's time is not the machine's.
SYS_TESTS = "*CgroupTest*V2:CgroupV2*:CgroupHost*:Resources*:Capability*:-*QuotaHolds*"
ISOLATE_TESTS = "RuntimeResources.*"
MOUNTS = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
UNIT_TESTS = f"""{MOUNTS}
/sys_test --gtest_filter='{SYS_TESTS}' 2>&1
echo "exit status $?"
/isolate_test --gtest_filter='{ISOLATE_TESTS}' 2>&1
echo "exit status $?"
poweroff -f
"""
# The initramfs cannot be pivoted away from: instances start from a tmpfs that has taken its place.
TO_TMPFS = """#!/bin/busybox sh
/bin/busybox mkdir /new
/bin/busybox mount -t tmpfs tmpfs /new
for name in *; do [ "$name" = new ] || /bin/busybox cp -a "$name" /new/; done
exec /bin/busybox switch_root /new /second
"""
IMAGE = "localhost/busybox:latest"
# Each line of it: a name, and a shell command whose status decides.
CHECKS = {
    "runs": 'test "$(run $image echo hello)" = hello',
    "all layers are there": "test $(run $image sh -c 'ls -d /layer-*' | wc -l) = 12",
    "its own group is the root of what it sees": 'run -m 32m $image cat /sys/fs/cgroup/memory.max | grep -qx 33554432',
    "pids": """run --pids 4 $image sh -c 'for i in 1 2 3 4 5 6; do sleep 3 & done; wait' 2>&1 | grep -q "can't fork" """,
    "memory": 'run -m 16m --swap 0 $image dd if=/dev/zero of=/dev/null bs=64M count=1; test $? = 137',
    "devices": """run --cap-add MKNOD $image sh -c 'mknod /tmp/mem c 1 1 && ! cat /tmp/mem && echo x > /dev/null' """,
    "device given": """run --device /dev/loop0 $image dd if=/dev/loop0 of=/dev/null bs=4k count=1""",
    "io.max": """$berth run -d --name disk --device /dev/loop0 --io-max /dev/loop0:wbps=1048576 $image \
        dd if=/dev/zero of=/dev/loop0 bs=64k count=48 oflag=direct > /dev/null && grep -q 'wbps=1048576' $groups/io.max &&
        start=$(cut -d. -f1 /proc/uptime) && $berth wait disk && end=$(cut -d. -f1 /proc/uptime) && $berth rm disk &&
        test $((end - start)) -ge 2""",
    "starts a busy one": """$berth run -d --name busy --cpus 0.2 -m 32m $image sh -c 'while :; do :; done' > /dev/null""",
    "cpu.max": """grep -qx '20000 100000' $groups/cpu.max && sleep 3 && ! grep -qx 'nr_throttled 0' $groups/cpu.stat""",
    "freeze": """$berth pause busy && grep -q 'frozen 1' $groups/cgroup.events && used=$(grep usage_usec $groups/cpu.stat) &&
        sleep 1 && test "$used" = "$(grep usage_usec $groups/cpu.stat)" """,
    "thaw": """$berth unpause busy && sleep 2 && test "$used" != "$(grep usage_usec $groups/cpu.stat)" """,
    "update": """$berth update --memory 64m --pids 7 --cpus 0.5 busy && grep -qx 67108864 $groups/memory.max &&
        grep -qx 7 $groups/pids.max && grep -qx '50000 100000' $groups/cpu.max""",
    "exec joins": """$berth exec busy true && $berth exec -d busy sleep 100; sleep 1; test $(cat $groups/cgroup.procs | wc -l) = 2""",
    "stats": """$berth --format json stats --no-stream busy | grep -Eq 'MemoryLimit": ?67108864' """,
    "kill": """$berth rm -f busy && test -z "$(ls -d $groups/ 2>/dev/null)" """,
}
INSTANCES = """{mounts}
ln -s /proc/self/fd /dev/fd; insmod /overlay.ko; insmod /loop.ko
dd if=/dev/zero of=/disk bs=1M count=8 2> /dev/null; losetup /dev/loop0 /disk
berth="/berth --root {root}"; image={image}; groups='/sys/fs/cgroup/berth/*'
run() {{ $berth run --rm "$@"; }}
{checks}
echo all done
poweroff -f
"""


def as_script(checks: dict[str, str], root) -> str:
    lines = []
    for name, command in checks.items():
        lines.append(f"if {command}; then echo 'CHECK {name}: ok'; else echo 'CHECK {name}: failed'; fi")
    return INSTANCES.format(mounts=MOUNTS, root=root, image=IMAGE, checks="\n".join(lines))


def test_limits_freezing_and_devices_on_a_v2_kernel(tmp_path):
    programs = [BIN / "sys_test", BIN / "isolate_test"]
    for program in programs:
        if not program.exists():
            pytest.skip(f"no {program}: build the tests")
    guest.write_initramfs(tmp_path / "initramfs.gz", guest.with_libraries(*programs) | {"init": UNIT_TESTS.encode()})
    output = guest.boot(tmp_path / "initramfs.gz")
    passed = [int(count) for count in re.findall(r"PASSED  \] \S*?(\d+) tests", output)]
    assert len(passed) == 2 and output.count("exit status 0") == 2, output[-8000:]
    assert "CgroupTest.MemoryLimitKillsInsideOnly/V2" in output
    skipped = sorted(set(re.findall(r"SKIPPED \] \S*?(\S+/V2|RuntimeResources\S+) ", output)))
    assert not skipped, f"nothing of v2 may be missing there: {skipped}"
    assert passed[0] >= 20 and passed[1] >= 8, output[-8000:]


def test_instances_on_a_v2_kernel(tmp_path, as_root):
    # More layers than one mount option can name by their paths.
    layers = [images.busybox_layer(), *(images.Layer().file(f"layer-{number}", "x").bytes() for number in range(12))]
    archive = tmp_path / "busybox.tar"
    images.write_archive(archive, layers, IMAGE)
    with Berth() as berth:
        berth.load(archive)
        files = guest.with_libraries(BIN / "berth", BIN / "berth-monitor")
        files |= {"init": TO_TMPFS.encode(), "second": as_script(CHECKS, berth.root).encode(),
                  **{name: guest.module(name) for name in guest.MODULES}}
        guest.write_initramfs(tmp_path / "initramfs.gz", files, (berth.root,))
    output = guest.boot(tmp_path / "initramfs.gz")
    assert "all done" in output, output[-8000:]
    failed = [name for name in CHECKS if f"CHECK {name}: ok" not in output]
    assert not failed, f"{failed}\n{output[-8000:]}"
