"""`mounts` (config.md, Mounts) and the root's propagation."""
import os
import re
import subprocess

import pytest


def mountinfo(text: str) -> dict[str, dict]:
    """Mount point -> its options, optional fields, type, source; the last mount on a point counts."""
    found = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, (kind, source, superblock) = before.split(), after.split(" ")
        found[words[4]] = {"options": set(words[5].split(",")), "fields": words[6:], "type": kind, "source": source,
                           "superblock": set(superblock.split(","))}
    return found


def mounts_in(container) -> dict[str, dict]:
    return mountinfo(container.output("cat", "/proc/self/mountinfo"))


@pytest.fixture
def shared_dir(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("content\n")
    return tmp_path / "data"


def test_bind(container, shared_dir):
    container.bind(shared_dir, "/data")
    container.run("sh", "-c", "cat /data/file && echo new >/data/made")
    assert (shared_dir / "made").read_text() == "new\n"


def test_bind_is_told_by_its_option(container, shared_dir):
    """The type may be anything, or nothing."""
    container.config["mounts"].append({"destination": "/data", "type": "none", "source": str(shared_dir), "options": ["bind"]})
    container.config["mounts"].append({"destination": "/other", "source": str(shared_dir), "options": ["rbind"]})
    assert container.output("cat", "/data/file", "/other/file") == "content\n" * 2


def test_bind_of_a_file(container, shared_dir):
    container.bind(shared_dir / "file", "/etc/given")
    assert container.output("cat", "/etc/given") == "content\n"


def test_bind_over_a_file(container, shared_dir):
    container.bind(shared_dir / "file", "/etc/passwd", "ro")
    assert container.output("cat", "/etc/passwd") == "content\n"


def test_bind_relative_to_the_bundle(container):
    (container.bundle / "beside").mkdir()
    (container.bundle / "beside/file").write_text("beside\n")
    container.bind("beside", "/data")
    assert container.output("cat", "/data/file") == "beside\n"


def test_bind_of_nothing(container):
    container.bind("/absent/source", "/data")
    assert "/absent/source" in container.create_fails()


def test_bind_alone_leaves_mounts_below_behind(container, shared_dir):
    (shared_dir / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "below", shared_dir / "below"], check=True)
    try:
        (shared_dir / "below/inner").touch()
        container.mount("/one", "bind", shared_dir, "bind")
        container.mount("/all", "bind", shared_dir, "rbind")
        assert container.output("ls", "/one/below", "/all/below") == "/all/below:\ninner\n\n/one/below:\n"
    finally:
        subprocess.run(["umount", shared_dir / "below"], check=True)


def test_a_read_only_bind(container, shared_dir):
    container.bind(shared_dir, "/data", "ro")
    assert "Read-only" in container.run("touch", "/data/made", code=1).stderr
    (shared_dir / "still").touch()


@pytest.mark.parametrize("option", ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"])
def test_options_of_a_bind(container, shared_dir, option):
    container.bind(shared_dir, "/data", option)
    assert option in mounts_in(container)["/data"]["options"]


@pytest.mark.parametrize("option", ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"])
def test_options_of_a_new_file_system(container, option):
    container.mount("/data", "tmpfs", "tmpfs", option)
    assert option in mounts_in(container)["/data"]["options"]


@pytest.mark.needs("nosymfollow")
def test_nosymfollow(container):
    container.mount("/data", "tmpfs", "tmpfs", "nosymfollow")
    container.run("sh", "-c", "ln -s /etc/passwd /data/link; cat /data/link", code=1)


@pytest.mark.needs("later options win")
def test_later_options_win(container):
    container.mount("/data", "tmpfs", "tmpfs", "ro", "noexec", "rw", "exec")
    assert not {"ro", "noexec"} & mounts_in(container)["/data"]["options"]


def test_options_of_the_file_system(container):
    container.mount("/data", "tmpfs", "harbour", "size=1m", "mode=0711", "uid=1000", "gid=50")
    found = container.shell("stat -c '%a %u %g' /data; df -k /data | tail -1; grep ' /data ' /proc/mounts")
    assert found.startswith("711 1000 50\n") and " 1024 " in found and found.split("\n")[2].startswith("harbour ")


def test_an_option_that_the_file_system_does_not_know(container):
    container.mount("/data", "tmpfs", "tmpfs", "harbour=deep")
    container.create_fails()


def test_an_unknown_file_system(container):
    container.mount("/data", "harbour", "none")
    assert "data" in container.create_fails()


def test_the_listed_order(container, shared_dir):
    container.mount("/a", "tmpfs", "first")
    container.bind(shared_dir, "/a/data")
    container.mount("/a/data/deep", "tmpfs", "third")
    assert container.output("cat", "/a/data/file") == "content\n"


def test_a_later_one_covers_an_earlier_one(container, shared_dir):
    container.bind(shared_dir, "/data")
    container.mount("/data", "tmpfs", "tmpfs")
    assert container.output("ls", "/data") == ""


def test_targets_are_made(container):
    container.mount("/some/deep/place", "tmpfs", "tmpfs")
    container.run("touch", "/some/deep/place/made")
    assert (container.rootfs / "some/deep/place").is_dir()


@pytest.mark.needs("relative targets")
def test_a_relative_target(container):
    """config.md since 1.2: a relative destination is taken from the root."""
    container.mount("deep/place", "tmpfs", "tmpfs")
    assert "/deep/place" in mounts_in(container)


def test_a_target_with_links(container, shared_dir):
    os.symlink("/etc", container.rootfs / "absolute")
    os.symlink("etc", container.rootfs / "relative")
    container.bind(shared_dir, "/absolute/one")
    container.bind(shared_dir, "/relative/two")
    assert {"/etc/one", "/etc/two"} <= set(mounts_in(container))


def test_a_target_with_a_link_that_leads_out(container, shared_dir):
    os.symlink("../../../../../../../../var", container.rootfs / "out")
    container.bind(shared_dir, "/out/data")
    assert container.output("cat", "/var/data/file") == "content\n"


@pytest.mark.needs("targets through dangling links")
def test_a_target_with_a_link_to_what_is_only_outside(container, shared_dir):
    os.symlink(str(container.bundle), container.rootfs / "bundle")
    container.bind(shared_dir, "/bundle/data")
    assert container.output("cat", f"{container.bundle}/data/file") == "content\n"
    assert not (container.bundle / "data").exists()


def test_a_target_with_dots(container, shared_dir):
    container.bind(shared_dir, "/../../../data")
    assert container.output("cat", "/data/file") == "content\n"


def test_proc_is_of_the_new_pid_namespace(container):
    found = mounts_in(container)["/proc"]
    assert found["type"] == "proc"


def test_a_read_only_proc(container):
    container.config["mounts"][0]["options"] = ["ro", "nosuid", "nodev", "noexec"]
    container.linux["readonlyPaths"] = container.linux["maskedPaths"] = []
    assert "ro" in mounts_in(container)["/proc"]["options"]


def test_pseudo_file_systems(container):
    found = mounts_in(container)
    assert [found[point]["type"] for point in ("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys")] == \
           ["tmpfs", "devpts", "tmpfs", "mqueue", "sysfs"]


@pytest.mark.needs("tmpcopyup")
def test_tmpcopyup(container):
    (container.rootfs / "etc/deep").mkdir()
    (container.rootfs / "etc/deep/file").write_text("kept\n")
    os.chown(container.rootfs / "etc/deep/file", 1000, 50)
    container.mount("/etc", "tmpfs", "tmpfs", "tmpcopyup")
    assert container.shell("cat /etc/deep/file; stat -c '%u:%g' /etc/deep/file; echo new >/etc/made") == "kept\n1000:50\n"
    assert not (container.rootfs / "etc/made").exists()


def test_the_hosts_mounts_do_not_show(container):
    """Everything visible is the root or below it."""
    points = set(mounts_in(container))
    assert "/" in points and not any("berth-oci-test" in point for point in points)


def test_nothing_stays_on_the_host(container, shared_dir):
    container.bind(shared_dir, "/data")
    container.mount("/t", "tmpfs", "tmpfs")
    container.started()
    assert container.id not in open("/proc/self/mountinfo", encoding="utf-8").read()


@pytest.mark.parametrize("option, expected", [("private", ""), ("rprivate", ""), ("slave", "master:"), ("rslave", "master:"),
                                              ("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable"),
                                              ("runbindable", "unbindable")])
def test_propagation_of_a_mount(container, tmp_path, option, expected):
    source = tmp_path / "shared"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "shared", source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        container.bind(source, "/data", option)
        container.linux["rootfsPropagation"] = "slave" if expected != "shared:" else "shared"
        fields = mounts_in(container)["/data"]["fields"]
        assert any(field.startswith(expected) for field in fields) if expected else not fields
    finally:
        subprocess.run(["umount", source], check=True)


def test_propagation_into_the_container(container, tmp_path):
    source = tmp_path / "shared"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "shared", source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        (source / "late").mkdir()
        container.bind(source, "/data", "rslave")
        container.linux["rootfsPropagation"] = "rslave"
        container.started()
        subprocess.run(["mount", "-t", "tmpfs", "late", source / "late"], check=True)
        (source / "late/seen").touch()
        assert container.exec("ls", "/data/late").stdout == "seen\n"
    finally:
        subprocess.run(["umount", "-R", source], check=True)


EXACT = pytest.mark.needs("root propagation as asked")


@pytest.mark.parametrize("value, expected", [("private", ""), ("rprivate", ""), pytest.param("shared", "shared:", marks=EXACT),
                                             pytest.param("rshared", "shared:", marks=EXACT),
                                             pytest.param("unbindable", "unbindable", marks=EXACT)])
def test_propagation_of_the_root(container, value, expected):
    container.linux["rootfsPropagation"] = value
    subprocess.run(["mount", "--bind", container.rootfs, container.rootfs], check=True)
    try:
        subprocess.run(["mount", "--make-shared", container.rootfs], check=True)
        fields = mounts_in(container)["/"]["fields"]
    finally:
        subprocess.run(["umount", "-l", container.rootfs], check=True)
    assert any(re.match(expected, field) for field in fields) if expected else not fields


@pytest.mark.parametrize("value", ["slave", "rslave"])
def test_a_slave_root_sends_nothing_out(container, value):
    container.linux["rootfsPropagation"] = value
    assert not any(field.startswith("shared:") for field in mounts_in(container)["/"]["fields"])


@pytest.mark.needs("unknown propagation refused")
def test_an_unknown_propagation(container):
    container.linux["rootfsPropagation"] = "harbour"
    container.create_fails()
