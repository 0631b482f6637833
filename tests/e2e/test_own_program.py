"""What of berth a container could reach by /proc/PID/exe cannot be changed through it (CVE-2019-5736)."""
import errno
import os
import pathlib

import pytest
from berth import wait_until

IMAGE = "localhost/busybox:latest"

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


class Held:
    """A process's program, got hold of while it runs, as an attacker does: the kernel lets nobody write to a running one."""

    def __init__(self, pid):
        self.file = os.open(f"/proc/{pid}/exe", os.O_PATH)

    def change(self) -> set[int]:
        """What the kernel says to a writer and to a change of mode; the mode is the one that the file has."""
        program = f"/proc/self/fd/{self.file}"
        errors = set()
        for attempt in (lambda: os.open(program, os.O_WRONLY | os.O_APPEND), lambda: os.chmod(program, os.stat(program).st_mode & 0o7777)):
            try:
                attempt()
                errors.add(0)
            except OSError as error:
                errors.add(error.errno)
        os.close(self.file)
        return errors


def test_init_is_out_of_reach(shared):
    name = shared("run", "-d", "--init", IMAGE, "sleep", "1000").stdout.strip()
    try:
        workload = shared.inspect(name)["State"]["Pid"]
        family = [workload, int(pathlib.Path(f"/proc/{workload}/stat").read_text().rpartition(")")[2].split()[1])]
        init = Held(next(pid for pid in family if pathlib.Path(f"/proc/{pid}/comm").read_text() == "berth-init\n"))
    finally:
        shared("rm", "-f", name)
    assert init.change() == {errno.EROFS}


def test_exec_of_berth_itself_is_out_of_reach(shared):
    """The workload that is entered has put a link to /proc/self/exe in its own program's place."""
    name = shared("run", "-d", IMAGE, "sh", "-c", "ln -s /proc/self/exe /bin/disguise; echo ready; sleep 1000").stdout.strip()
    try:
        wait_until(lambda: "ready" in shared("logs", name).stdout)
        berth = wait_until(lambda: catch(shared, name), 30)
    finally:
        shared("rm", "-f", name)
    assert berth.change() == {errno.EROFS}


def catch(shared, name: str) -> Held | None:
    """Berth lives but for a moment in the container: one try of many."""
    entering = shared.start("exec", name, "/bin/disguise", "--help")
    try:
        while entering.poll() is None:
            for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if entry.read_bytes().startswith(b"/bin/disguise\0"):
                        return Held(entry.parent.name)
                except OSError:
                    continue
        return None
    finally:
        entering.communicate(timeout=20)
