"""Scopes made by a real systemd: Debian's own, as the first process of a stock kernel in QEMU."""
import json
import pathlib
import re

import guest
import oci
import pytest
from paths import BIN

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
INIT = """#!/bin/busybox sh
export SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=notice
exec /lib/systemd/systemd
"""
TARGET = """[Unit]
DefaultDependencies=no
Requires=test.service
"""
SERVICE = """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/busybox sh /run-tests
"""
TESTS = """/sys_test --gtest_filter='Systemd.*' > /dev/console 2>&1
echo "exit status $?" > /dev/console
/bin/busybox poweroff -f
"""
SYSTEMCTL = pathlib.Path("/bin/systemctl")
BUNDLE = """exec > /dev/console 2>&1
/bin/busybox --install -s /bin; export PATH=/bin
mkdir -p /bundle/rootfs/bin /bundle/rootfs/proc /bundle/rootfs/sys /bundle/rootfs/dev
cp /bin/busybox /bundle/rootfs/bin/; for name in sh sleep cat true; do ln -s busybox /bundle/rootfs/bin/$name; done
groups=/sys/fs/cgroup/conf.slice/conf-web.scope
oci="/berth-oci --root /run/conf --systemd-cgroup"
property() { /systemctl show -P $1 conf-web.scope; }
"""
# Each line of it: a name, and a shell command whose status decides. The root of an initramfs cannot be pivoted away from.
CHECKS = {
    "create": "$oci create --no-pivot --bundle /bundle web < /dev/null && pid=$($oci state web | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')",
    "its scope": 'grep -qx "0::/conf.slice/conf-web.scope" /proc/$pid/cgroup && test "$(cat $groups/cgroup.procs)" = "$pid"',
    "unit is active": 'test "$(property ActiveState)" = active && test "$(property Delegate)" = yes',
    "limits": """test "$(cat $groups/memory.max)" = 67108864 && test "$(cat $groups/pids.max)" = 20 &&
        test "$(cat $groups/cpu.max)" = "30000 60000" """,
    "properties": """test "$(property MemoryMax)" = 67108864 && test "$(property TasksMax)" = 20 &&
        test "$(property CPUQuotaPerSecUSec)" = 500ms && test "$(property CPUQuotaPeriodUSec)" = 60ms && test "$(property DevicePolicy)" = strict""",
    "properties of annotations": 'test "$(property TimeoutStopUSec)" = 2s',
    "start": "$oci start web && sleep 1 && $oci state web | grep -q running",
    "exec joins": "$oci exec --detach web sleep 1000 && sleep 1 && test $(wc -l < $groups/cgroup.procs) = 2",
    "update": """$oci update --memory 33554432 --memory-swap 33554432 --pids-limit 30 web && test "$(cat $groups/memory.max)" = 33554432 &&
        test "$(property MemoryMax)" = 33554432 && test "$(property TasksMax)" = 30""",
    "limits outlive a reload": """/systemctl daemon-reload && test "$(cat $groups/memory.max)" = 33554432 && test "$(cat $groups/pids.max)" = 30 &&
        test "$(cat $groups/cpu.max)" = "30000 60000" """,
    "devices stay confined": "! $oci exec web sh -c 'cat < /mem' && $oci exec web sh -c 'cat < /dev/null'",
    "pause and resume": "$oci pause web && grep -q 'frozen 1' $groups/cgroup.events && $oci resume web",
    "delete": '$oci delete --force web && test ! -e $groups && test "$(property ActiveState)" != active',
    "a failed create leaves nothing": """sed 's/\"sleep\"/\"absent\"/' /bundle/config.json > /bundle/absent.json &&
        ! $oci create --no-pivot --config absent.json --bundle /bundle web < /dev/null && test ! -e $groups && test "$(property ActiveState)" != active""",
    "a killed create is cleared away": """{ $oci run --no-pivot --bundle /bundle web < /dev/null & } && sleep 1 && kill -9 $! &&
        $oci delete --force web && test ! -e $groups""",
    "a group below": """sed 's/\"annotations\": {/&\"run.oci.systemd.subgroup\": \"inner\", /' /bundle/config.json > /bundle/inner.json &&
        $oci create --no-pivot --config inner.json --bundle /bundle web < /dev/null && test -n "$(cat $groups/inner/cgroup.procs)" &&
        test "$(cat $groups/inner/memory.max)" = 67108864 && $oci delete --force web && test ! -e $groups""",
    "a path of another form is refused": """sed 's,conf.slice:conf:web,/conf/web,' /bundle/config.json > /bundle/path.json &&
        ! $oci create --no-pivot --config path.json --bundle /bundle web < /dev/null""",
}


def test_scopes_start_change_and_stop(tmp_path):
    if not SYSTEMD.exists():
        pytest.skip(f"no {SYSTEMD} (Debian's package systemd)")
    if not (BIN / "sys_test").exists():
        pytest.skip("no sys_test: build the tests")
    files = guest.with_libraries(BIN / "sys_test")
    files |= {str(path).lstrip("/"): path.read_bytes() for path in guest.libraries_of(SYSTEMD)}
    files |= {"lib/systemd/systemd": SYSTEMD.read_bytes(), "init": INIT.encode(), "run-tests": TESTS.encode(),
              "etc/systemd/system/default.target": TARGET.encode(), "etc/systemd/system/test.service": SERVICE.encode(),
              "etc/machine-id": b"0123456789abcdef0123456789abcdef\n"}
    guest.write_initramfs(tmp_path / "initramfs.gz", files)
    output = guest.boot(tmp_path / "initramfs.gz", timeout_s=170)
    assert "exit status 0" in output, output[-6000:]
    assert re.search(r"OK \] Systemd\.MakesChangesAndEndsAScope", output), output[-6000:]


def config() -> dict:
    made = oci.default_config()
    made["process"]["args"] = ["sleep", "1000"]
    made["annotations"] = {"org.systemd.property.TimeoutStopSec": "2"}
    made["linux"]["cgroupsPath"] = "conf.slice:conf:web"
    made["linux"]["devices"] = [{"path": "/mem", "type": "c", "major": 1, "minor": 1}]
    made["linux"]["resources"] |= {"memory": {"limit": 64 << 20, "swap": 64 << 20}, "pids": {"limit": 20},
                                   "cpu": {"quota": 30000, "period": 60000}}
    return made


def test_containers_live_in_scopes(tmp_path):
    for program in (SYSTEMD, SYSTEMCTL, BIN / "berth-oci"):
        if not program.exists():
            pytest.skip(f"no {program}")
    files = guest.with_libraries(SYSTEMCTL, BIN / "berth-oci")
    files |= {str(path).lstrip("/"): path.read_bytes() for path in guest.libraries_of(SYSTEMD)}
    lines = [f"if {command}; then echo 'CHECK {name}: ok'; else echo 'CHECK {name}: failed'; fi" for name, command in CHECKS.items()]
    script = BUNDLE + "\n".join(lines) + "\necho all done\npoweroff -f\n"
    files |= {"lib/systemd/systemd": SYSTEMD.read_bytes(), "init": INIT.encode(), "run-tests": script.encode(),
              "etc/systemd/system/default.target": TARGET.encode(), "etc/systemd/system/test.service": SERVICE.encode(),
              "etc/machine-id": b"0123456789abcdef0123456789abcdef\n", "bundle/config.json": json.dumps(config()).encode()}
    guest.write_initramfs(tmp_path / "initramfs.gz", files)
    output = guest.boot(tmp_path / "initramfs.gz")
    assert "all done" in output, output[-6000:]
    failed = [name for name in CHECKS if f"CHECK {name}: ok" not in output]
    assert not failed, f"{failed}\n{output[-6000:]}"
