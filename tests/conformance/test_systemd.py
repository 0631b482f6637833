"""Scopes made by a real systemd: Debian's own, as the first process of a stock kernel in QEMU."""
import pathlib
import re

import guest
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
