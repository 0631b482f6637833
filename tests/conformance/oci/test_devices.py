"""`linux.devices` and the list of allowed devices (config-linux.md, Devices, Default Devices, Device allowed list)."""
import pathlib

import oci
import pytest

# major:minor of the memory devices of the kernel's list (admin-guide/devices.txt).
DEFAULTS = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}
FUSE = {"type": "c", "major": 10, "minor": 229}


def test_default_devices(container):
    script = "; ".join(f"stat -c '%F %t:%T %a' /dev/{name}" for name in DEFAULTS)
    assert container.shell(script).splitlines() == [f"character special file {number} 666" for number in DEFAULTS.values()]


def test_default_devices_work(container):
    script = "echo gone >/dev/null; head -c 3 /dev/zero | wc -c; echo x >/dev/full; head -c 2 /dev/urandom | wc -c"
    done = container.run("sh", "-c", script)
    assert done.stdout.split() == ["3", "2"] and "No space" in done.stderr


def test_links(container):
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
    seen = container.shell("; ".join(f"readlink /dev/{name}" for name in links)).splitlines()
    assert [entry.removeprefix("/dev/") for entry in seen] == list(links.values())


def test_there_is_nothing_else(container):
    names = set(container.output("ls", "/dev").split())
    assert names - set(DEFAULTS) <= {"fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm", "mqueue", "console", "core"}


def test_without_a_terminal_there_is_no_console(container):
    container.shell("[ ! -e /dev/console ]")


def test_a_listed_device(container):
    container.linux["devices"] = [{"path": "/dev/harbour", **FUSE, "fileMode": 0o640, "uid": 1000, "gid": 50}]
    assert container.output("stat", "-c", "%F %t:%T %a %u:%g", "/dev/harbour") == "character special file a:e5 640 1000:50\n"


def test_a_listed_block_device(container):
    container.linux["devices"] = [{"path": "/dev/disk", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600, "uid": 0, "gid": 0}]
    assert container.output("stat", "-c", "%F %t:%T", "/dev/disk") == "block special file 7:c8\n"


def test_a_listed_fifo(container):
    container.linux["devices"] = [{"path": "/dev/pipe", "type": "p", "fileMode": 0o600, "uid": 0, "gid": 0}]
    assert container.output("stat", "-c", "%F", "/dev/pipe") == "fifo\n"


def test_a_listed_device_in_a_directory_of_its_own(container):
    container.linux["devices"] = [{"path": "/dev/deep/harbour", **FUSE}]
    assert "a:e5" in container.output("stat", "-c", "%t:%T", "/dev/deep/harbour")


def test_a_default_device_that_is_listed_too(container):
    container.linux["devices"] = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 0, "gid": 0}]
    container.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"})
    container.run("sh", "-c", "echo >/dev/null")


@pytest.mark.needs("unknown devices refused")
def test_an_unknown_type(container):
    container.linux["devices"] = [{"path": "/dev/harbour", "type": "x", "major": 1, "minor": 11}]
    container.create_fails()


TRY = "mknod /tmp/fuse c 10 229 && head -c 0 /tmp/fuse"


def test_a_device_may_be_made_but_not_opened(container):
    done = container.run("sh", "-c", TRY, code=1)
    assert "Operation not permitted" in done.stderr and (container.rootfs / "tmp/fuse").exists()


def test_an_allowed_device(container):
    container.linux["resources"]["devices"].append({"allow": True, **FUSE, "access": "rw"})
    container.run("sh", "-c", TRY)


def test_access_is_exact(container):
    container.linux["resources"]["devices"].append({"allow": True, **FUSE, "access": "w"})
    container.run("sh", "-c", TRY, code=1)


def test_later_entries_win(container):
    container.linux["resources"]["devices"] += [{"allow": True, **FUSE, "access": "rwm"}, {"allow": False, **FUSE, "access": "r"}]
    container.run("sh", "-c", TRY, code=1)


def test_a_whole_class(container):
    container.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "access": "rw"})
    container.run("sh", "-c", TRY)


def test_everything(container):
    container.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    container.run("sh", "-c", TRY)


def test_default_devices_are_allowed(container):
    container.run("sh", "-c", "mknod /tmp/null c 1 3 && echo >/tmp/null && head -c 1 /dev/urandom >/dev/null")


@pytest.mark.skipif(oci.V2, reason="version 2 has a program in place of a list")
def test_the_kernels_list(container):
    container.linux["resources"]["devices"].append({"allow": True, **FUSE, "access": "rw"})
    container.create("true")
    listed = (container.cgroup("devices") / "devices.list").read_text().splitlines()
    assert "c 10:229 rw" in listed and "c 1:3 rwm" in listed and "a *:* rwm" not in listed


def test_exec_is_held_too(container):
    container.started()
    container.exec("sh", "-c", TRY, code=1)


def test_a_host_device_is_the_hosts(container):
    """A node of the container has the numbers that the configuration says, whatever is at that path outside."""
    container.linux["devices"] = [{"path": "/dev/zero", **FUSE}]
    assert pathlib.Path("/dev/zero").exists()
    assert container.output("stat", "-c", "%t:%T", "/dev/zero") in ("a:e5\n", "1:5\n")
