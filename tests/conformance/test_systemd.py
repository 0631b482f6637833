"""Scopes made by a real systemd: Debian's own in a guest, that of the system and that of an ordinary user."""
import json

import oci
import pytest
import whole_guest
from paths import BIN

SETUP = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin; cd /tmp
mkdir -p bundle/rootfs/{bin,proc,sys,dev}
cp /bin/busybox bundle/rootfs/bin/; for name in sh sleep cat true; do ln -s busybox bundle/rootfs/bin/$name; done
echo '@CONFIG@' > bundle/config.json; echo '@USER_CONFIG@' > bundle/user.json
groups=/sys/fs/cgroup/conf.slice/conf-web.scope
oci="@BIN@/berth-oci --root /run/conf --systemd-cgroup"
property() { systemctl show -P $1 conf-web.scope; }
"""
# Each line of it: a name, and a shell command whose status decides.
CHECKS = {
    "create": "$oci create --bundle bundle web < /dev/null && pid=$($oci state web | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')",
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
    "limits outlive a reload": """systemctl daemon-reload && test "$(cat $groups/memory.max)" = 33554432 && test "$(cat $groups/pids.max)" = 30 &&
        test "$(cat $groups/cpu.max)" = "30000 60000" """,
    "devices stay confined": "! $oci exec web sh -c 'cat < /mem' && $oci exec web sh -c 'cat < /dev/null'",
    "pause and resume": "$oci pause web && grep -q 'frozen 1' $groups/cgroup.events && $oci resume web",
    "delete": '$oci delete --force web && test ! -e $groups && test "$(property ActiveState)" != active',
    "a failed create leaves nothing": """sed 's/\"sleep\"/\"absent\"/' bundle/config.json > bundle/absent.json &&
        ! $oci create --config absent.json --bundle bundle web < /dev/null && test ! -e $groups && test "$(property ActiveState)" != active""",
    "a killed create is cleared away": """{ $oci run --bundle bundle web < /dev/null & } && sleep 1 && kill -9 $! &&
        $oci delete --force web && test ! -e $groups""",
    "a group below": """sed 's/\"annotations\": {/&\"run.oci.systemd.subgroup\": \"inner\", /' bundle/config.json > bundle/inner.json &&
        $oci create --config inner.json --bundle bundle web < /dev/null && test -n "$(cat $groups/inner/cgroup.procs)" &&
        test "$(cat $groups/inner/memory.max)" = 67108864 && $oci delete --force web && test ! -e $groups""",
    "a path of another form is refused": """sed 's,conf.slice:conf:web,/conf/web,' bundle/config.json > bundle/path.json &&
        ! $oci create --config path.json --bundle bundle web < /dev/null""",
}
# The machine's files may be where others cannot look: the program is copied.
USER_SETUP = """useradd --uid 4321 --create-home guest; systemctl start user@4321.service
cp @BIN@/berth-oci /usr/local/bin/; cp -r bundle ~guest/bundle; mv ~guest/bundle/user.json ~guest/bundle/config.json; chown -R guest: ~guest
mine() { runuser -u guest -- env XDG_RUNTIME_DIR=/run/user/4321 "$@"; }
oci="mine /usr/local/bin/berth-oci --root /run/user/4321/conf --systemd-cgroup"; bundle=/home/guest/bundle
groups=/sys/fs/cgroup/user.slice/user-4321.slice/user@4321.service/user.slice/conf-own.scope
property() { mine systemctl --user show -P $1 conf-own.scope; }
"""
USER_CHECKS = {
    "user: create": "$oci create --bundle $bundle own < /dev/null && pid=$($oci state own | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')",
    "user: its scope": 'test "/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup)" = $groups && test "$(property ActiveState)" = active',
    "user: it belongs to the user": 'test "$(stat -c %U /proc/$pid)" = guest',
    "user: limits": """test "$(cat $groups/memory.max)" = 67108864 && test "$(cat $groups/pids.max)" = 20 &&
        test "$(cat $groups/cpu.max)" = "30000 60000" && test "$(property MemoryMax)" = 67108864""",
    "user: start": "$oci start own && sleep 1 && $oci state own | grep -q running",
    "user: exec joins": "$oci exec --detach own sleep 1000 && sleep 1 && test $(wc -l < $groups/cgroup.procs) = 2",
    "user: update": """$oci update --memory 33554432 --memory-swap 33554432 --pids-limit 30 own &&
        test "$(cat $groups/memory.max)" = 33554432 && test "$(property TasksMax)" = 30""",
    "user: pause and resume": "$oci pause own && grep -q 'frozen 1' $groups/cgroup.events && $oci resume own",
    "user: figures": "$oci events --stats own | grep -q '\"limit\":33554432'",
    "user: delete": '$oci delete --force own && test ! -e $groups && test "$(property ActiveState)" != active',
    "user: run": "test \"$($oci run --bundle $bundle other < /dev/null & sleep 2; $oci kill other KILL; wait $!; echo $?)\" = 137",
    "user: nothing is left": "test -z \"$(mine systemctl --user list-units --plain --no-legend 'conf-*')\" && ! ls /run/user/4321/conf/* 2> /dev/null",
}


def config() -> dict:
    made = oci.default_config()
    made["process"]["args"] = ["sleep", "1000"]
    made["annotations"] = {"org.systemd.property.TimeoutStopSec": "2"}
    made["linux"]["cgroupsPath"] = "conf.slice:conf:web"
    made["linux"]["devices"] = [{"path": "/mem", "type": "c", "major": 1, "minor": 1}]
    made["linux"]["resources"] |= {"memory": {"limit": 64 << 20, "swap": 64 << 20}, "pids": {"limit": 20},
                                   "cpu": {"quota": 30000, "period": 60000}}
    return made


def user_config() -> dict:
    made = config()
    made["linux"]["cgroupsPath"] = "user.slice:conf:own"
    made["linux"]["namespaces"].append({"type": "user"})
    made["linux"]["namespaces"] = [entry for entry in made["linux"]["namespaces"] if entry["type"] != "network"]
    for kind in ("uidMappings", "gidMappings"):
        made["linux"][kind] = [{"containerID": 0, "hostID": 4321, "size": 1}]
    del made["linux"]["devices"], made["annotations"]
    made["mounts"] = [{**mount, "options": [option for option in mount.get("options", []) if not option.startswith("gid=")]}
                      for mount in made["mounts"] if mount["type"] != "sysfs"]
    made["mounts"].append({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
    return made


def test_containers_live_in_scopes():
    if not (BIN / "sys_test").exists():
        pytest.skip("no sys_test: build the tests")
    script = "\n".join([SETUP, "@BIN@/sys_test --gtest_filter='Systemd.*' && echo 'CHECK unit tests: ok'", *whole_guest.checks(CHECKS),
                        USER_SETUP, *whole_guest.checks(USER_CHECKS), "poweroff -f", ""])
    script = script.replace("@CONFIG@", json.dumps(config())).replace("@USER_CONFIG@", json.dumps(user_config())).replace("@BIN@", str(BIN))
    output = whole_guest.boot(script, systemd=True)
    whole_guest.assert_all(("unit tests", *CHECKS, *USER_CHECKS), output)
