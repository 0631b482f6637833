"""The runtime as an ordinary user (runc's `spec --rootless` and what podman hands to it)."""
import json
import os
import pathlib
import shutil
import subprocess

import accounts
import oci
import oci_peers
import pytest
from berth import Terminal, wait_until

NAME = "berth-conf"


@pytest.fixture(scope="module")
def user():
    if not shutil.which("newuidmap"):
        pytest.skip("no newuidmap (Debian's package uidmap)")
    with accounts.account(NAME) as entry:
        yield entry


@pytest.fixture(scope="module")
def rootless(user, runtime):
    """The same runtime with the user's rights and a state of the user's own."""
    made = oci.Runtime(runtime.name, runtime.program)
    if "/" in made.program:  # the checkout may be where others cannot look
        made.program = shutil.copy(made.program, made.directory)
        pathlib.Path(made.program).chmod(0o755)
    made.wrapper = [*runtime.wrapper, "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--inh-caps=-all",
                    "env", "-i", f"HOME={user.pw_dir}", f"XDG_RUNTIME_DIR={made.directory}", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]
    own(made.directory, user)
    yield made
    made.close()


def own(path: pathlib.Path, user) -> None:
    subprocess.run(["chown", "-R", "-h", f"{user.pw_uid}:{user.pw_gid}", path], check=True)


@pytest.fixture
def container(rootless, user):
    made = rootless.container()
    made.namespace("user")
    made.drop_namespace("network")
    made.linux["uidMappings"] = [{"containerID": 0, "hostID": user.pw_uid, "size": 1}]
    made.linux["gidMappings"] = [{"containerID": 0, "hostID": user.pw_gid, "size": 1}]
    made.linux["resources"] = {}
    made.config["mounts"] = [{**mount, "options": [option for option in mount.get("options", []) if not option.startswith("gid=")]}
                             for mount in made.config["mounts"] if mount["type"] != "sysfs"]
    made.bind("/sys", "/sys", "nosuid", "noexec", "nodev", "ro")
    own(made.bundle, user)
    yield made
    assert made.close() == []


def subordinate(kind: str) -> tuple[int, int]:
    for line in pathlib.Path(f"/etc/sub{kind}").read_text(encoding="utf-8").splitlines():
        name, first, count = line.split(":")
        if name == NAME:
            return int(first), int(count)
    pytest.skip(f"{NAME} has no subordinate ids")


def test_run(container):
    assert container.output("id", "-u") == "0\n"


def test_exit_status(container):
    container.run("sh", "-c", "exit 9", code=9)


def test_root_inside_is_the_user_outside(container, user):
    container.run("touch", "/tmp/made")
    assert (container.rootfs / "tmp/made").stat().st_uid == user.pw_uid


def test_a_life(container):
    container.create("sleep", "1000")
    assert container.status == "created"
    container.start()
    assert container.status == "running"
    assert container.exec("echo", "inside").stdout == "inside\n"
    container.kill("KILL")
    container.wait_stopped()
    container.delete()


def test_many_ids(container, user):
    """Subordinate ids by newuidmap and newgidmap."""
    first, count = subordinate("uid")
    container.linux["uidMappings"].append({"containerID": 1, "hostID": first, "size": count})
    first, count = subordinate("gid")
    container.linux["gidMappings"].append({"containerID": 1, "hostID": first, "size": count})
    container.process["user"] = {"uid": 1000, "gid": 1000}
    assert container.output("sh", "-c", "id -u; id -g") == "1000\n1000\n"


def test_ids_of_others(container):
    container.linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    container.create_fails("true")


def test_others_files_stay_closed(container):
    container.bind("/etc", "/host-etc", "ro")
    assert "denied" in container.run("cat", "/host-etc/shadow", code=1).stderr


def test_a_network_of_its_own(container):
    container.namespace("network")
    assert "lo" in container.output("ip", "link")


def test_a_terminal(container):
    container.process["terminal"] = True
    container.set_args("sh", "-c", "tty; echo done")
    container.save()
    person = Terminal(container.runtime.command("run", "--bundle", container.bundle, container.id))
    person.expect("done")
    assert person.wait() == 0


def test_devices_are_there(container):
    container.run("sh", "-c", "echo >/dev/null && head -c 4 /dev/urandom >/dev/null && [ -c /dev/tty ]")


def test_list(container, user):
    container.started()
    (entry,) = [one for one in json.loads(container.runtime("list", "--format", "json").stdout) if one["id"] == container.id]
    assert entry["owner"] == user.pw_name


def test_by_force(container):
    container.started("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    pid = container.pid
    container.delete("--force")
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_the_spec_that_the_runtime_writes(container, rootless, user):
    if why := oci_peers.why_not(rootless.name, "spec --rootless runs here"):
        pytest.skip(why)
    rootless("spec", "--rootless", "--bundle", container.bundle)
    config = json.loads((container.bundle / "config.json").read_text())
    config["process"].update({"terminal": False, "args": ["echo", "works"]})
    config["process"].pop("rlimits", None)
    container.config = config
    assert container.output() == "works\n"
