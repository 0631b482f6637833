"""Checkpoint and restore through CRIU, of berth-oci alone and below podman, on a stock Debian kernel in QEMU: CRIU is particular
about the kernel it runs on."""
import json
import shutil

import oci
import pytest
import whole_guest
from paths import BIN, ROOT

SETUP = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /tmp/bundle/rootfs/{bin,proc,sys,dev,tmp,data} /tmp/data; cd /tmp
cp /bin/busybox bundle/rootfs/bin/; for name in sh sleep cat grep hostname stty; do ln -s busybox bundle/rootfs/bin/$name; done
echo '@CONFIG@' > bundle/config.json; mkdir tty; echo '@TERMINAL@' > tty/config.json
oci="@OCI@ --root /run/conf"; group=/sys/fs/cgroup/conf/web
count() { local now= try; for try in {1..100}; do now=$(cat data/count) && test -n "$now" && break; done; echo $now; }  # it is empty for a moment
grows() { local before=$(count); sleep 2; test "$(count)" -gt "$before"; }
"""
# Each line of it: a name, and a shell command whose status decides.
CHECKS = {
    "CRIU finds what it needs": "criu check > /tmp/check 2>&1 || { tail -5 /tmp/check; false; }",
    "a container counts": "$oci run -d --bundle bundle web < /dev/null > /dev/null 2>&1 && sleep 2 && grows",
    "checkpoint and go on": "$oci checkpoint --leave-running --image-path images/going web && grows",
    "checkpoint": "at=$(count) && $oci checkpoint --image-path images/first --work-path work web && test -s work/dump.log",
    "nothing is left": "! $oci state web 2> /dev/null && test ! -e $group && before=$(count) && sleep 1 && test $(count) = $before",
    "restore": """$oci restore -d --bundle bundle --image-path images/first --work-path work --pid-file /run/pid web \
        < /dev/null > /dev/null && $oci state web | grep -q '"status": "running"'""",
    "it goes on where it was": 'grows && test "$(count)" -gt "$at"',
    "its number is told": 'test "$(cat /run/pid)" = "$(cat $group/cgroup.procs | head -n 1)"',
    "its group has the limits": "test $(cat $group/memory.max) = 67108864 && test $(cat $group/pids.max) = 20",
    "exec enters it": 'test "$($oci exec web hostname)" = conformance && test "$($oci exec web cat /tmp/kept)" = kept',
    "pre-dump": "$oci checkpoint --pre-dump --image-path images/before web 2> /tmp/said && test ! -s /tmp/said && grows",
    "a dump on top of it": "$oci checkpoint --parent-path ../before --image-path images/after web",
    "restore of both": "$oci restore -d --bundle bundle --image-path images/after web < /dev/null > /dev/null && grows",
    "delete": "$oci delete --force web && test ! -e $group && ! $oci state web 2> /dev/null",
    "images that are not there": "! $oci restore -d --bundle bundle --image-path images/none web < /dev/null && ! $oci state web 2> /dev/null",
    "broken images": """mkdir -p images/broken && cp images/first/* images/broken/ && rm images/broken/core-1.img &&
        ! $oci restore -d --bundle bundle --image-path images/broken web < /dev/null 2> /tmp/error && test ! -e $group &&
        grep -q 'Error (criu.*images/broken/restore.log' /tmp/error""",
    "in the foreground": """$oci restore --bundle bundle --image-path images/after web < /dev/null > /dev/null & sleep 3; grows &&
        $oci kill web KILL; wait $!; test $? = 137""",
}

TERMINAL_SETUP = """runc="runc --root /run/runc"
hold() { python3 @LIB@/hold_terminal.py /run/$1.socket /run/$1.printed /run/$1.typed & until test -S /run/$1.socket; do sleep 0.1; done; }
type_to() { printf "$2" > /run/$1.typed; }
printed() { local try; for try in {1..50}; do grep -q "$2" /run/$1.printed && return; sleep 0.1; done; cat /run/$1.printed; false; }
"""
TERMINAL_CHECKS = {
    "terminal: a container reads": r"""hold first && $oci run -d --bundle tty --console-socket /run/first.socket tty && type_to first 'one\n' &&
        printed first '^1: one' && printed first '^40 100'""",
    "terminal: checkpoint and go on": r"""$oci checkpoint --leave-running --image-path images/tty-going tty && type_to first 'two\n' &&
        printed first '^2: two'""",
    "terminal: checkpoint": "$oci checkpoint --image-path images/tty tty && ! $oci state tty 2> /dev/null",
    "terminal: restore": r"""hold second &&
        $oci restore -d --bundle tty --image-path images/tty --console-socket /run/second.socket tty < /dev/null && type_to second 'three\n' &&
        printed second '^3: three' && printed second '^40 100'""",
    "terminal: it is the controlling one": r"type_to second '\003' && printed second 'interrupted'",
    "terminal: delete": "$oci delete --force tty",
    "terminal: images of runc": r"""hold third && $runc run -d --bundle tty --console-socket /run/third.socket tty && type_to third 'one\n' &&
        printed third '^1: one' && $runc checkpoint --image-path images/tty-runc tty && hold fourth &&
        $oci restore -d --bundle tty --image-path images/tty-runc --console-socket /run/fourth.socket tty < /dev/null &&
        type_to fourth 'two\n' && printed fourth '^2: two'""",
    "terminal: images for runc": r"""$oci checkpoint --image-path images/tty-again tty && hold fifth &&
        $runc restore -d --bundle tty --image-path $PWD/images/tty-again --console-socket /run/fifth.socket tty < /dev/null &&
        type_to fifth 'three\n' && printed fifth '^3: three' && $runc delete --force tty""",
    "terminal: in the foreground, to a checkpoint": r"""{ sleep 4; echo three; sleep 2; $oci checkpoint --shell-job --image-path images/front tty;
        echo $? > /run/code; } | $oci restore --bundle tty --image-path images/tty tty > /run/sixth.printed; test ${PIPESTATUS[1]} = 137 &&
        printed sixth '^3: three' && test $(cat /run/code) = 0""",
    "terminal: nobody to hold it": """! $oci restore -d --bundle tty --image-path images/tty tty < /dev/null 2> /tmp/error &&
        grep -q console-socket /tmp/error && ! $oci state tty 2> /dev/null""",
    "terminal: images without one": """sed -i 's/"terminal": false/"terminal": true/' bundle/config.json && hold seventh &&
        ! $oci restore -d --bundle bundle --image-path images/after --console-socket /run/seventh.socket web < /dev/null 2> /tmp/error &&
        grep -q 'process.terminal' /tmp/error && ! $oci state web 2> /dev/null && test ! -e $group""",
}

PODMAN_SETUP = """mount -t tmpfs tmpfs /var/lib/containers; podman="podman --cgroup-manager cgroupfs --runtime @OCI@"
tar -C bundle/rootfs -c . | podman import - localhost/image > /dev/null
counts='i=0; while :; do i=$((i + 1)); echo $i; sleep 0.2; done'
last() { $podman logs web | tail -n 1; }
goes_on() { local before=$(last); sleep 2; test "$(last)" -gt "$before"; }
counts_lines='i=0; while read line; do i=$((i + 1)); echo "$i: $line"; done'
enter() { (echo $1; sleep 2) | timeout 20 $podman attach --sig-proxy=false tty > /dev/null & local pid=$!; sleep 4; kill $pid 2> /dev/null; true; }
logged() { $podman logs tty | grep -q "$1" || { $podman logs tty; false; }; }
running() { test "$($podman inspect -f '{{.State.Running}}' web)" = true; }
"""
PODMAN_CHECKS = {
    "podman: a container counts": '$podman run -d --name web localhost/image /bin/sh -c "$counts" > /dev/null && sleep 2 && goes_on',
    "podman: checkpoint": "at=$(last) && $podman container checkpoint web > /dev/null && ! running",
    "podman: restore": '$podman container restore web > /dev/null && running && goes_on && test "$(last)" -gt "$at"',
    "podman: its network is there": "$podman exec web /bin/sh -c 'grep -q eth0 /proc/net/dev'",
    "podman: leave running": "$podman container checkpoint --leave-running web > /dev/null && running && goes_on",
    "podman: export": "$podman container checkpoint --export /tmp/web.tar.gz web > /dev/null && $podman rm web > /dev/null",
    "podman: import": "$podman container restore --import /tmp/web.tar.gz > /dev/null && running && goes_on",
    "podman: import once more": "$podman container restore --import /tmp/web.tar.gz --name other > /dev/null && test $($podman ps -q | wc -l) = 2",
    "podman: a terminal": r"""$podman run -dit --name tty localhost/image /bin/sh -c "$counts_lines" > /dev/null && enter one && logged '^1: one'""",
    "podman: its checkpoint": "$podman container checkpoint tty > /dev/null",
    "podman: its restore": "$podman container restore tty > /dev/null && enter two && logged '^2: two'",
    "podman: its removal": "$podman rm -f -t 0 tty > /dev/null",
    "podman: remove": "$podman rm -f -t 0 web other > /dev/null && test -z \"$($podman ps -aq)\"",
}


def config() -> dict:
    made = oci.default_config()
    script = "echo kept > /tmp/kept; i=0; while :; do i=$((i + 1)); echo $i > /data/.new && cat /data/.new > /data/count; sleep 0.2; done"
    made["process"]["args"] = ["sh", "-c", script]
    made["mounts"] = [mount for mount in oci.MOUNTS if mount["destination"] in ("/proc", "/dev", "/dev/pts", "/dev/shm")]
    made["mounts"] += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
                       {"destination": "/data", "type": "bind", "source": "/tmp/data", "options": ["bind"]}]
    made["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    made["linux"]["cgroupsPath"] = "/conf/web"
    made["linux"]["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}
    return made


def terminal_config() -> dict:
    made = config()
    script = """trap 'echo interrupted' INT; i=0; while :; do read line || continue; i=$((i + 1)); echo "$i: $line"; stty size; done"""
    made["process"] |= {"terminal": True, "consoleSize": {"height": 40, "width": 100}, "args": ["sh", "-c", script]}
    made["root"]["path"] = "/tmp/bundle/rootfs"
    made["linux"]["cgroupsPath"] = "/conf/tty"
    return made


def test_checkpoint_and_restore():
    if not shutil.which("criu"):
        pytest.skip("no criu (Debian's package criu)")
    setup = SETUP.replace("@CONFIG@", json.dumps(config())).replace("@TERMINAL@", json.dumps(terminal_config()).replace("'", r"'\''"))
    script = "\n".join([setup, *whole_guest.checks(CHECKS), TERMINAL_SETUP, *whole_guest.checks(TERMINAL_CHECKS),
                        PODMAN_SETUP, *whole_guest.checks(PODMAN_CHECKS), "poweroff -f", ""])
    output = whole_guest.boot(script.replace("@OCI@", str(BIN / "berth-oci")).replace("@LIB@", str(ROOT / "tests/lib")))
    whole_guest.assert_all(CHECKS | TERMINAL_CHECKS | PODMAN_CHECKS, output)
