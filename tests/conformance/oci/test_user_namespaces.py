"""User namespaces with mappings (config-linux.md, User namespace mappings)."""
import os

import pytest

BASE = 200000


def map_ids(container, uid=((0, BASE, 65536),), gid=None) -> None:
    container.namespace("user")
    container.linux["uidMappings"] = [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in uid]
    container.linux["gidMappings"] = [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in gid or uid]


@pytest.fixture
def mapped(container):
    map_ids(container)
    return container


def test_the_maps_are_written(mapped):
    mapped.create("true")
    assert mapped.proc("uid_map").split() == ["0", str(BASE), "65536"]
    assert mapped.proc("gid_map").split() == ["0", str(BASE), "65536"]


def test_users_and_groups_apart(container):
    map_ids(container, ((0, BASE, 1000), (1000, 500000, 10)), ((0, 300000, 2000),))
    container.create("true")
    assert container.proc("uid_map").split() == ["0", str(BASE), "1000", "1000", "500000", "10"]
    assert container.proc("gid_map").split() == ["0", "300000", "2000"]


def test_root_inside_is_not_root_outside(mapped):
    mapped.started()
    assert os.stat(f"/proc/{mapped.pid}").st_uid == BASE
    assert mapped.exec("id", "-u").stdout == "0\n"


def test_other_users(mapped):
    mapped.process["user"] = {"uid": 1000, "gid": 50}
    mapped.started()
    assert os.stat(f"/proc/{mapped.pid}").st_uid == BASE + 1000
    assert mapped.exec("grep", "Gid", "/proc/1/status").stdout.split() == ["Gid:"] + ["50"] * 4


def test_files_of_the_host_keep_their_owners(mapped):
    """The root file system belongs to users that are not mapped: they show as nobody, and stay closed."""
    (mapped.rootfs / "secret").write_text("secret")
    (mapped.rootfs / "secret").chmod(0o600)
    assert mapped.output("stat", "-c", "%u", "/bin/busybox") == "65534\n"
    assert "denied" in mapped.run("cat", "/secret", code=1).stderr


def test_files_made_inside(mapped):
    for path in (mapped.rootfs, *mapped.rootfs.iterdir()):
        os.chown(path, BASE, BASE)
    mapped.run("touch", "/tmp/made")
    assert (mapped.rootfs / "tmp/made").stat().st_uid == BASE


def test_devices_work(mapped):
    assert mapped.shell("echo x >/dev/null && head -c 4 /dev/zero | wc -c && ls -l /dev/null | cut -c1-10").split()[0] == "4"


def test_the_other_namespaces_belong_to_it(mapped):
    """Root inside may change what these namespaces hold."""
    mapped.process["capabilities"] = {name: ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] for name in ("bounding", "effective", "permitted")}
    assert mapped.shell("hostname changed && hostname && ip link set lo down && echo down") == "changed\ndown\n"


@pytest.mark.needs("joined user namespace without mappings")
def test_a_running_one_by_path(new_container):
    first, second = new_container(), new_container()
    map_ids(first)
    first.started()
    for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc")):
        second.namespace(kind, path=f"/proc/{first.pid}/ns/{name}")
    second.create("true")
    assert second.namespace_of("user") == first.namespace_of("user")


@pytest.mark.needs("mappings required")
def test_no_mapping(container):
    container.namespace("user")
    container.create_fails()


@pytest.mark.needs("mappings without a namespace refused")
def test_mappings_without_a_namespace(container):
    container.linux["uidMappings"] = container.linux["gidMappings"] = [{"containerID": 0, "hostID": BASE, "size": 10}]
    container.create_fails()


def test_overlapping_mappings(container):
    map_ids(container, ((0, BASE, 100), (50, 300000, 100)))
    container.create_fails()


def test_a_user_that_is_not_mapped(container):
    map_ids(container, ((0, BASE, 10),))
    container.process["user"] = {"uid": 1000, "gid": 0}
    container.run_fails("true")


def test_exec(mapped):
    mapped.started()
    assert mapped.exec("readlink", "/proc/self/ns/user").stdout.strip() == mapped.namespace_of("user")
    assert mapped.exec("grep", "CapEff", "/proc/self/status").stdout == mapped.exec("grep", "CapEff", "/proc/1/status").stdout


def test_nothing_can_be_done_to_the_host(mapped):
    mapped.process["capabilities"] = {name: ["CAP_SYS_ADMIN", "CAP_SYS_TIME", "CAP_MKNOD"] for name in ("bounding", "effective", "permitted")}
    assert mapped.shell("mknod /tmp/null c 1 3; echo $?").strip().endswith("1")
