"""The same layers unpacked by berth, umoci, Podman and the tars: the trees must be the same, byte for byte."""
import os
import pathlib
import shutil
import subprocess
import sys

import layers as berth_layers
import pytest
from images import MTIME, Layer, digest, write_layout
from trees import differences, snapshot

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from peers import Podman  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners, devices and overlay mounts need root")

CAPABILITY = b"\x01\x00\x00\x02\x00\x20" + bytes(14)


def base(link: dict | None = None) -> bytes:
    """`link`: what a hard-link entry claims of an inode that is not its own to describe."""
    layer = Layer().directory("./")
    for name in ("bin", "dev", "etc", "etc/conf", "lib", "usr", "usr/lib", "var"):
        layer.directory(name, uid=len(name))
    layer.file("bin/only", "one name", 0o4711, uid=9).file("bin/tool", "tool", 0o4755, uid=7).hardlink("bin/alias", "bin/tool", **(link or {"mode": 0o600}))
    layer.file("bin/ping", "p", 0o755, pax={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")})
    layer.file("etc/big-owner", "x", uid=3_000_000, gid=2_500_000, pax={"mtime": "1600000000.123456789"})
    layer.file("etc/conf/a", "a").file("etc/conf/b", "b").file("var/" + "n" * 200, "long").file("var/é-\u65e5", "utf-8")
    layer.symlink("lib64", "usr/lib").symlink("dangling", "../../nowhere").directory("tmp", 0o1777)
    layer.device("dev/null", "c", 1, 3).device("dev/disk", "b", 8, 1, 0o660).device("dev/pipe", "p", 0, 0)
    return layer.bytes()


def change() -> bytes:
    layer = Layer().directory("./")
    layer.whiteout("bin/ping").file("etc/conf/.wh..wh..opq").directory("etc/conf", 0o750).file("etc/conf/new", "new")
    layer.file("lib64/libnew.so", "through a symlink of the layer below").whiteout("var/missing")
    layer.hardlink("bin/other", "bin/only").file("etc/big-owner", "now small").directory("lib").file("lib/x", "x")
    layer.file("var/replaced", "file first").whiteout("tmp").directory("tmp", 0o700).file("tmp/fresh", "only this")
    return layer.bytes()


def umoci_tree(layers: list[bytes], scratch: pathlib.Path) -> pathlib.Path:
    write_layout(scratch / "layout", layers, "test")
    subprocess.run(["umoci", "unpack", "--image", f"{scratch / 'layout'}:test", scratch / "bundle"], check=True,
                   capture_output=True)
    return scratch / "bundle" / "rootfs"


def without_directory_times(tree: dict[str, tuple]) -> dict[str, tuple]:
    """For layers on layers: tools differ in the times of directories that only implied entries changed."""
    return {path: (*entry[:4], 0, *entry[5:]) if entry[0].startswith("0o4") else entry for path, entry in tree.items()}


@pytest.mark.skipif(not shutil.which("umoci"), reason="umoci is not installed")
def test_one_layer_is_as_umoci_unpacks_it(tmp_path):
    with berth_layers.Merged([base()], tmp_path) as ours:
        assert differences(snapshot(ours), snapshot(umoci_tree([base()], tmp_path))) == []


@pytest.mark.skipif(not shutil.which("umoci"), reason="umoci is not installed")
def test_layers_on_layers_are_as_umoci_unpacks_them(tmp_path):
    with berth_layers.Merged([base(), change()], tmp_path) as merged:
        ours = without_directory_times(snapshot(merged))
    theirs = without_directory_times(snapshot(umoci_tree([base(), change()], tmp_path)))
    assert differences(ours, theirs) == []


@pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed")
def test_one_layer_is_as_podman_unpacks_it(tmp_path):
    layer = base({"mode": 0o4755, "uid": 7})  # Podman applies the link's metadata to the inode: let them agree
    write_layout(tmp_path / "layout", [layer], "test")
    with Podman() as podman:
        image = podman("pull", "--quiet", f"oci:{tmp_path / 'layout'}:test").strip()
        theirs = snapshot(pathlib.Path(podman("image", "mount", image).strip()))
    with berth_layers.Merged([layer], tmp_path) as merged:
        assert differences(snapshot(merged), theirs) == []


def make_tree(root: pathlib.Path) -> None:
    (root / "d" / "sub").mkdir(parents=True)
    (root / "d" / "file").write_text("content")
    os.link(root / "d" / "file", root / "d" / "sub" / "link")
    os.chmod(root / "d" / "file", 0o6711)
    os.symlink("../d/file", root / "d" / "symlink")
    (root / ("n" * 255)).write_text("longest")
    os.setxattr(root / "d" / "sub", "user.note", b"\0binary\n")
    os.mkfifo(root / "fifo")
    with open(root / "sparse", "wb") as sparse:
        sparse.truncate(8 << 20)
        sparse.seek(3 << 20)
        sparse.write(b"x" * 5000)
    os.chown(root / "sparse", 123456, 4_000_000_000)
    with open(os.fsencode(root) + b"/\xff\xfe not UTF-8", "w", encoding="utf-8") as odd:
        odd.write("odd")
    os.utime(root / "d", ns=(MTIME * 10**9 + 987654321, MTIME * 10**9 + 987654321))


TARS = {
    "gnu": ["tar", "--format=gnu", "--sparse", "-cf"],
    "gnu-pax": ["tar", "--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "-cf"],
    "gnu-pax-0.0": ["tar", "--format=pax", "--sparse", "--sparse-version=0.0", "--xattrs", "--xattrs-include=*", "-cf"],
    "gnu-pax-0.1": ["tar", "--format=pax", "--sparse", "--sparse-version=0.1", "--xattrs", "--xattrs-include=*", "-cf"],
    "bsd-pax": ["bsdtar", "--format=pax", "--xattrs", "-cf"],
}


@pytest.mark.parametrize("kind", TARS)
def test_archives_of_every_tar_unpack_to_what_was_packed(kind, tmp_path):
    if not shutil.which(TARS[kind][0]):
        pytest.skip(f"{TARS[kind][0]} is not installed")
    tree = tmp_path / "tree"
    make_tree(tree)
    blob = tmp_path / "layer.tar"
    subprocess.run([*TARS[kind], blob, "-C", tree, "."], check=True, capture_output=True)
    berth_layers.unpack(blob, tmp_path / "ours")
    expected, ours = snapshot(tree), snapshot(tmp_path / "ours")
    if kind == "gnu":  # a format without fractions of seconds or attributes
        expected, ours = ({path: (*entry[:4], entry[4] // 10**9, *entry[5:7], entry[8]) for path, entry in files.items()}
                          for files in (expected, ours))
    assert differences(ours, expected) == []
    assert (tmp_path / "ours" / "sparse").stat().st_blocks * 512 < 1 << 20, "the hole was filled"


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_tar_and_umoci_read_what_berth_packs(compression, tmp_path):
    tree = tmp_path / "tree"
    make_tree(tree)
    blob = tmp_path / "packed"
    diff_id = berth_layers.pack(tree, blob, compression, plain=True)
    plain = {"none": ["cat"], "gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}[compression]
    archive = subprocess.run([*plain, blob], check=True, capture_output=True).stdout
    assert diff_id == digest(archive)
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xf", "-", "-C", tmp_path / "gnu"], input=archive, check=True,
                   capture_output=True)
    assert differences(snapshot(tree), snapshot(tmp_path / "gnu")) == []
    if shutil.which("umoci"):
        assert differences(snapshot(tree), snapshot(umoci_tree([archive], tmp_path))) == []


def test_a_refused_layer_says_which_entry_and_leaves_the_neighbours_alone(tmp_path):
    blob = tmp_path / "evil.tar"
    blob.write_bytes(Layer().file("fine", "x").file("../escaped", "x").bytes())
    with pytest.raises(subprocess.CalledProcessError) as refused:
        berth_layers.unpack(blob, tmp_path / "target")
    assert '"../escaped"' in refused.value.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar", "target"]
