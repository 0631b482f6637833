"""Recursive mount attributes (config.md: rro, rnosuid, ...) and idmapped mounts (config.md: idmap, ridmap, uidMappings)."""
import os
import subprocess

import pytest
from test_mounts import mounts_in


@pytest.fixture
def nested(tmp_path):
    """A directory with a mount below it."""
    top = tmp_path / "top"
    (top / "below").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "other", top / "below"], check=True)
    (top / "below/file").touch()
    yield top
    subprocess.run(["umount", "-l", top / "below"], check=True)


@pytest.mark.parametrize("option, flag", [("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"),
                                          pytest.param("rnoatime", "noatime", marks=pytest.mark.needs("recursive access times")),
                                          pytest.param("rnodiratime", "nodiratime", marks=pytest.mark.needs("recursive access times"))])
@pytest.mark.needs("recursive attributes")
def test_the_attribute_holds_below(container, nested, option, flag):
    container.bind(nested, "/data", option)
    found = mounts_in(container)
    assert flag in found["/data"]["options"] and flag in found["/data/below"]["options"]


@pytest.mark.needs("recursive attributes")
def test_read_only_below(container, nested):
    container.bind(nested, "/data", "rro")
    assert "Read-only" in container.run("touch", "/data/below/made", code=1).stderr


def test_the_plain_attribute_does_not(container, nested):
    container.bind(nested, "/data", "ro")
    found = mounts_in(container)
    assert "ro" in found["/data"]["options"] and "ro" not in found["/data/below"]["options"]


@pytest.mark.needs("recursive attributes")
def test_attributes_can_be_taken_away(container, nested):
    subprocess.run(["mount", "-o", "remount,bind,noexec", nested / "below"], check=True)
    container.bind(nested, "/data", "rexec")
    assert "noexec" not in mounts_in(container)["/data/below"]["options"]


@pytest.mark.needs("recursive attributes")
def test_several(container, nested):
    container.bind(nested, "/data", "rro", "rnosuid", "rnodev", "rnoexec")
    assert {"ro", "nosuid", "nodev", "noexec"} <= mounts_in(container)["/data/below"]["options"]


@pytest.mark.needs("recursive attributes")
def test_the_host_is_as_before(container, nested):
    container.bind(nested, "/data", "rro")
    container.run("true")
    (nested / "below/made").touch()


MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]


@pytest.fixture
def owned(container, tmp_path):
    (container.rootfs / "data").mkdir()  # root of a user namespace may not make it
    path = tmp_path / "owned"
    path.mkdir()
    (path / "file").touch()
    os.chown(path / "file", 5, 6)
    os.chown(path, 5, 6)
    return path


@pytest.mark.needs("idmapped mounts")
def test_idmapped(container, owned):
    """File owner 5 on disk shows as what `hostID` says: 100005."""
    container.bind(owned, "/data", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert container.output("stat", "-c", "%u:%g", "/data/file") == "100005:100006\n"


@pytest.mark.needs("idmapped mounts")
def test_idmapped_with_a_user_namespace(container, owned):
    """The mapping of the container as that of the mount: owners inside are those on disk."""
    container.namespace("user")
    container.linux["uidMappings"] = container.linux["gidMappings"] = MAPPING
    container.bind(owned, "/data", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert container.output("stat", "-c", "%u:%g", "/data/file") == "5:6\n"


@pytest.mark.needs("idmapped mounts")
def test_idmapped_by_the_containers_own_mapping(container, owned):
    """Without mappings of its own a mount takes those of the user namespace."""
    container.namespace("user")
    container.linux["uidMappings"] = container.linux["gidMappings"] = MAPPING
    container.bind(owned, "/data", "idmap")
    assert container.output("stat", "-c", "%u:%g", "/data/file") == "5:6\n"


@pytest.mark.needs("idmapped mounts")
def test_idmapped_writes(container, owned):
    container.namespace("user")
    container.linux["uidMappings"] = container.linux["gidMappings"] = MAPPING
    container.bind(owned, "/data", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    os.chown(owned, 0, 0)
    container.run("touch", "/data/made")
    assert (owned / "made").stat().st_uid == 0


@pytest.mark.needs("idmapped mounts", "recursive idmap")
def test_idmapped_below(container, nested):
    os.chown(nested / "below/file", 5, 6)
    container.bind(nested, "/data", "ridmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert container.output("stat", "-c", "%u", "/data/below/file") == "100005\n"


@pytest.mark.needs("idmapped mounts", "recursive idmap")
def test_not_idmapped_below(container, nested):
    os.chown(nested / "below/file", 5, 6)
    container.bind(nested, "/data", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert container.output("stat", "-c", "%u", "/data/below/file") == "5\n"


@pytest.mark.needs("idmapped mounts")
def test_no_mapping_at_all(container, owned):
    """Neither the mount nor the container has one."""
    container.bind(owned, "/data", "idmap")
    container.create_fails()
