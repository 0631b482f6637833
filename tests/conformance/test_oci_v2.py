"""The suite of tests/conformance/oci once more where control groups are of version 2, in a guest: this project's machines have
version 1. The files that control groups matter to; all of them, and on more runtimes, where BERTH_OCI_RUNTIMES names some (`make
conformance`)."""
import os
import re

import pytest
import whole_guest
from paths import BIN, ROOT

SECONDS_A_RUNTIME = 900
FILES = [f"tests/conformance/oci/test_{name}.py" for name in (
    "cgroups_v2", "create", "delete", "devices", "events", "exec", "features", "kill", "list", "ordinary_user", "pause", "recursive_mounts",
    "resources", "start", "state", "update")]
# A busy machine's guest is slow: nothing here is judged by the time it takes.
SCRIPT = f"""#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1 BERTH_BIN={BIN} BERTH_OCI_TIMEOUT_S=90
export BERTH_OCI_RUNTIMES=@RUNTIMES@
cd {ROOT}
/usr/bin/python3 -m pytest -p no:cacheprovider -q --tb=short --color=no -rfEs @FILES@ < /dev/null
poweroff -f
"""
# What a guest of this kernel does not have, and what belongs to version 1.
EXPECTED_SKIPS = ("no version 1 hierarchies here", "version 2 has a program in place of a list", "version 2 has the controller",
                  "version 2 waits for it",
                  "this root may lower it", "this root may raise limits", "this kernel may have the security module")


def test_the_suite_with_version_2():
    if os.geteuid() != 0:
        pytest.skip("needs to be root")
    named = os.environ.get("BERTH_OCI_RUNTIMES", "")
    runtimes = named or "berth-oci"
    script = SCRIPT.replace("@RUNTIMES@", runtimes).replace("@FILES@", "tests/conformance/oci" if named else " ".join(FILES))
    output = whole_guest.boot(script, memory_mib=3072, timeout_s=SECONDS_A_RUNTIME * len(runtimes.split(",")))
    print(output)
    summary = re.search(r"^(?:(\d+) failed, )?(\d+) passed", output, re.MULTILINE)
    assert summary, output[-6000:]
    failed = re.findall(r"^(?:FAILED|ERROR) .*", output, re.MULTILINE)
    assert not failed, "\n".join(failed) + "\n" + output[-6000:]
    skipped = [line for line in re.findall(r"^SKIPPED .*", output, re.MULTILINE) if not line.endswith(EXPECTED_SKIPS)]
    assert not [line for line in skipped if "crun:" not in line and "runc:" not in line], skipped
