"""What of berth a container could reach by /proc/PID/exe cannot be changed through it (CVE-2019-5736)."""
import errno
import os
import pathlib

import pytest
from berth import wait_until

IMAGE = "localhost/busybox:latest"

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


def change(program: str) -> set[int]:
    """What the kernel says to a writer and to a change of mode; the mode is the one that the file has."""
    errors = set()
    for attempt in (lambda: os.open(program, os.O_WRONLY | os.O_APPEND), lambda: os.chmod(program, os.stat(program).st_mode & 0o7777)):
        try:
            attempt()
            errors.add(0)
        except OSError as error:
            errors.add(error.errno)
    return errors


def test_init_is_out_of_reach(shared):
    name = shared("run", "-d", "--init", IMAGE, "sleep", "1000").stdout.strip()
    try:
        workload = shared.inspect(name)["State"]["Pid"]
        family = [workload, int(pathlib.Path(f"/proc/{workload}/stat").read_text().rpartition(")")[2].split()[1])]
        init = next(pid for pid in family if pathlib.Path(f"/proc/{pid}/comm").read_text() == "berth-init\n")
        assert change(f"/proc/{init}/exe") == {errno.EROFS}
    finally:
        shared("rm", "-f", name)


def test_exec_of_berth_itself_is_out_of_reach(shared):
    """The workload that is entered has put a link to /proc/self/exe in its own program's place."""
    name = shared("run", "-d", IMAGE, "sh", "-c", "ln -s /proc/self/exe /bin/disguise; mkfifo /pipe; echo ready; sleep 1000").stdout.strip()
    try:
        wait_until(lambda: "ready" in shared("logs", name).stdout)
        # Berth in the container: it waits for the standard input that it is to hand on to an instance.
        entering = shared.start("exec", "-i", name, "/bin/disguise", "image", "load")
        try:
            seen = wait_until(lambda: programs_named("disguise"))
            assert change(f"/proc/{seen[0]}/exe") == {errno.EROFS}
        finally:
            entering.stdin.close()
            entering.wait(20)
    finally:
        shared("rm", "-f", name)


def programs_named(name: str) -> list[str]:
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().split(b"\0")[0].endswith(name.encode()):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
