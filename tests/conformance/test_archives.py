"""Image archives to and from other tools, and archives that lie."""
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import images
import pytest
from berth import Berth
from trees import differences, snapshot

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from peers import Podman, missing  # noqa: E402

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="owners and overlay mounts need root"),
              pytest.mark.skipif(bool(missing("skopeo", "umoci", "buildah", "podman")), reason="needs all peers")]

NAME = "localhost/archived:v1"
CONFIG = {"Env": [images.PATH_ENV, "WORD=hello"], "Cmd": ["sh", "-c", "echo $WORD from $PWD"], "WorkingDir": "/var"}


def run(*command) -> str:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> pathlib.Path:
    """The image that travels, as an OCI layout with the tag v1."""
    layout = tmp_path_factory.mktemp("original") / "layout"
    images.write_layout(layout, [images.busybox_layer(), images.Layer().file("var/second", "layer").bytes()], "v1", CONFIG)
    return layout


def by_skopeo(kind: str):
    def make(original: pathlib.Path, target: pathlib.Path) -> None:
        tag = NAME if kind == "docker-archive" else "v1"
        run("skopeo", "copy", "--quiet", f"oci:{original}:v1", f"{kind}:{target}:{tag}")
    return make


def by_podman(kind: str):
    def make(original: pathlib.Path, target: pathlib.Path) -> None:
        with Podman() as podman:
            image = podman("pull", "--quiet", f"oci:{original}:v1").strip()
            podman("tag", image, NAME)
            podman("save", "--quiet", "--format", kind, "--output", target, NAME)
    return make


def by_umoci(original: pathlib.Path, target: pathlib.Path) -> None:
    """A layout whose second tag umoci made, with a layer and a configuration of umoci's writing."""
    shutil.copytree(original, target)
    bundle = target.parent / "bundle"
    run("umoci", "unpack", "--image", f"{target}:v1", bundle)
    (bundle / "rootfs" / "var" / "umoci").write_text("a layer of umoci's")
    run("umoci", "repack", "--image", f"{target}:v1", bundle)
    run("umoci", "config", "--image", f"{target}:v1", "--config.env", "MADE=umoci")


def by_buildah(original: pathlib.Path, target: pathlib.Path) -> None:
    store = target.parent / "buildah"
    buildah = ["buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs"]
    image = run(*buildah, "pull", "--quiet", f"oci:{original}:v1").strip()
    run(*buildah, "push", "--quiet", image, f"oci-archive:{target}:{NAME}")


MAKERS = {"skopeo-oci": by_skopeo("oci"), "skopeo-oci-archive": by_skopeo("oci-archive"),
          "skopeo-docker-archive": by_skopeo("docker-archive"), "podman-oci-archive": by_podman("oci-archive"),
          "podman-docker-archive": by_podman("docker-archive"), "umoci": by_umoci, "buildah": by_buildah}


@pytest.mark.parametrize("maker", MAKERS)
def test_an_archive_of_every_tool_loads_and_runs(maker, original, berth, tmp_path):
    MAKERS[maker](original, tmp_path / "made")
    berth.load(tmp_path / "made")
    image = berth("image", "ls", "-q").stdout.strip()
    assert berth("run", "--rm", "--network", "none", image).stdout == "hello from /var\n"
    assert berth("run", "--rm", "--network", "none", image, "cat", "/var/second").stdout == "layer"
    if maker == "umoci":
        assert berth("run", "--rm", "--network", "none", image, "sh", "-c", "echo $MADE; cat umoci").stdout == \
            "umoci\na layer of umoci's"
    berth("image", "check")


@pytest.fixture(scope="module")
def loaded(original):
    with Berth() as made:
        made("image", "load", "-i", original, "--name", NAME)
        yield made


def saved(loaded, kind: str, target: pathlib.Path) -> str:
    """Saves as `kind`; gives the image in skopeo's words."""
    loaded("image", "save", "--quiet", "--format", kind, "-o", target, NAME)
    return {"docker-archive": f"docker-archive:{target}:{NAME}", "oci-archive": f"oci-archive:{target}:v1",
            "oci-dir": f"oci:{target}:v1"}[kind]


def config_digest(original: pathlib.Path) -> str:
    index = json.loads((original / "index.json").read_text())
    manifest = index["manifests"][0]["digest"].replace(":", "/")
    return json.loads((original / "blobs" / manifest).read_text())["config"]["digest"]


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci-dir"])
def test_skopeo_and_umoci_read_what_berth_saves(kind, original, loaded, tmp_path):
    source = saved(loaded, kind, tmp_path / "saved")
    assert json.loads(run("skopeo", "inspect", "--raw", source))["config"]["digest"] == config_digest(original)
    config = json.loads(run("skopeo", "inspect", "--config", source))["config"]
    assert {key: config[key] for key in CONFIG} == CONFIG
    run("skopeo", "copy", "--quiet", source, f"oci:{tmp_path / 'copy'}:v1")
    for name, layout in (("ours", tmp_path / "copy"), ("theirs", original)):
        run("umoci", "unpack", "--image", f"{layout}:v1", tmp_path / name)
    assert differences(*(snapshot(tmp_path / name / "rootfs") for name in ("ours", "theirs"))) == []


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_podman_loads_what_berth_saves(kind, original, loaded, tmp_path):
    saved(loaded, kind, tmp_path / "saved")
    with Podman() as podman:
        podman("load", "--quiet", "--input", tmp_path / "saved")
        image = json.loads(podman("image", "inspect", podman("images", "--quiet", "--no-trunc").strip()))[0]
    assert "sha256:" + image["Id"] == config_digest(original)
    assert {key: image["Config"][key] for key in CONFIG} == CONFIG


@pytest.mark.parametrize("packed", [False, True])
def test_an_imported_root_runs_as_changed_and_exports_the_same(packed, berth, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", tree], input=images.busybox_layer(), check=True)
    archive = tmp_path / "root.tar"
    run("tar", "--format=gnu", "--numeric-owner", "-czf" if packed else "-cf", archive, "-C", tree, ".")
    changes = ['CMD ["sh", "-c", "echo $WORD $PWD $(id -u)"]', "ENV WORD=changed", "WORKDIR /home/tester", "USER tester"]
    berth("image", "import", *(word for change in changes for word in ("--change", change)), archive, NAME)
    assert berth("run", "--rm", "--network", "none", NAME).stdout == "changed /home/tester 1000\n"
    berth("image", "export", "-o", tmp_path / "exported.tar", NAME)
    (tmp_path / "again").mkdir()
    run("tar", "--numeric-owner", "-xpf", tmp_path / "exported.tar", "-C", tmp_path / "again")
    assert differences(snapshot(tmp_path / "again", times=False), snapshot(tree, times=False)) == []


def tar_of(files: dict[str, bytes | str]) -> bytes:
    """A tar of files; a str is a symbolic link's target."""
    layer = images.Layer()
    for name, content in files.items():
        layer.symlink(name, content) if isinstance(content, str) else layer.file(name, content)
    return layer.bytes()


def layout_files(original: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(original)): path.read_bytes() for path in original.rglob("*") if path.is_file()}


def manifest_name(files: dict[str, bytes]) -> str:
    return "blobs/" + json.loads(files["index.json"])["manifests"][0]["digest"].replace(":", "/")


def layer_name(files: dict[str, bytes]) -> str:
    return "blobs/" + json.loads(files[manifest_name(files)])["layers"][0]["digest"].replace(":", "/")


def refused(berth, archive: pathlib.Path, *words: str) -> None:
    """It is refused by a message that has all `words`, and the store is sound and holds nothing."""
    message = berth("image", "load", "-i", archive, code=125).stderr
    assert [word for word in words if word not in message] == [], message
    assert berth("image", "ls", "-q").stdout == ""
    berth("image", "check")
    left = [path for where in ("blobs/*/*", "layers/*", "ingest/*") for path in berth.root.glob(where)]
    assert left == [], "a refused archive leaves nothing behind"


@pytest.mark.parametrize("form", ["tar", "directory"])
def test_blobs_under_sha512_load(form, berth, tmp_path):
    """image-spec, descriptor.md: sha512 is the other registered algorithm."""
    layer, files = images.busybox_layer(), {}
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [images.digest(layer)]}}

    def blob(data: bytes, kind: str) -> dict:
        name = hashlib.sha512(data).hexdigest()
        files[f"blobs/sha512/{name}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha512:{name}", "size": len(data)}

    manifest = {"schemaVersion": 2, "config": blob(json.dumps(document).encode(), "config.v1+json"),
                "layers": [blob(layer, "layer.v1.tar")]}
    put = blob(json.dumps(manifest).encode(), "manifest.v1+json") | {"annotations": {"org.opencontainers.image.ref.name": NAME}}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [put]}).encode()
    (tmp_path / "sha512.tar").write_bytes(tar_of(files))
    if form == "directory":
        (tmp_path / "layout").mkdir()
        run("tar", "-xf", tmp_path / "sha512.tar", "-C", tmp_path / "layout")
    berth.load(tmp_path / ("sha512.tar" if form == "tar" else "layout"))
    assert berth("run", "--rm", "--network", "none", NAME, "echo", "fine").stdout == "fine\n"
    berth("image", "check")


def test_the_format_may_be_given_before_the_command(loaded, tmp_path):
    loaded("--format", "oci-archive", "image", "save", "--quiet", "-o", tmp_path / "saved.tar", NAME)
    assert "index.json" in tarfile.open(tmp_path / "saved.tar").getnames()
    assert "docker-archive" in loaded("--format", "json", "image", "save", "-o", tmp_path / "no", NAME, code=125).stderr


def test_an_id_that_another_image_keeps_is_not_deleted(berth, tmp_path):
    """Two manifests of one configuration: their layers differ in compression alone."""
    for number, compression in enumerate(("gzip", "zstd")):
        images.write_archive(tmp_path / compression, [images.busybox_layer()], f"localhost/twin{number}:1", None, compression)
        berth.load(tmp_path / compression)
    assert "Deleted" not in berth("image", "rm", "localhost/twin0:1").stdout
    assert "Deleted: sha256:" in berth("image", "rm", "localhost/twin1:1").stdout


def test_a_truncated_archive_is_refused(original, berth, tmp_path):
    whole = tar_of(layout_files(original))
    (tmp_path / "cut.tar").write_bytes(whole[:len(whole) // 2])
    refused(berth, tmp_path / "cut.tar", "cut.tar")


@pytest.mark.parametrize("content", [b"", b"not an archive at all\n" * 1000, gzip.compress(b"nor this"), bytes(10240)],
                         ids=["empty", "garbage", "gzip", "zeros"])
def test_what_is_no_archive_is_refused(content, berth, tmp_path):
    (tmp_path / "odd.tar").write_bytes(content)
    refused(berth, tmp_path / "odd.tar", "odd.tar")
    assert "layer" not in berth("image", "load", "-i", tmp_path / "odd.tar", code=125).stderr


@pytest.mark.parametrize("which", [manifest_name, layer_name])
def test_a_missing_blob_is_named(which, original, berth, tmp_path):
    files = layout_files(original)
    missing_name = which(files)
    del files[missing_name]
    (tmp_path / "lacks.tar").write_bytes(tar_of(files))
    refused(berth, tmp_path / "lacks.tar", "lacks.tar", missing_name)


@pytest.mark.parametrize("which", [manifest_name, layer_name])
def test_a_blob_of_another_digest_is_named(which, original, berth, tmp_path):
    files = layout_files(original)
    name = which(files)
    files[name] = files[name] + b" "
    (tmp_path / "damaged.tar").write_bytes(tar_of(files))
    refused(berth, tmp_path / "damaged.tar", "damaged.tar", name.rsplit("/", maxsplit=1)[1])


def test_a_blob_of_another_digest_in_a_directory_is_named(original, berth, tmp_path):
    shutil.copytree(original, tmp_path / "layout")
    name = layer_name(layout_files(original))
    content = bytearray((tmp_path / "layout" / name).read_bytes())
    content[100] ^= 1
    (tmp_path / "layout" / name).write_bytes(content)
    refused(berth, tmp_path / "layout", name)


def docker_files(config: str, layer: str) -> dict[str, bytes]:
    root = images.busybox_layer()
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [images.digest(root)]}}
    listed = [{"Config": config, "RepoTags": [NAME], "Layers": [layer]}]
    return {"manifest.json": json.dumps(listed).encode(), "c.json": json.dumps(document).encode(), "l.tar": root}


def test_a_docker_archive_by_hand_loads(berth, tmp_path):
    """What the archives below are, but for their lies."""
    (tmp_path / "good.tar").write_bytes(tar_of(docker_files("c.json", "l.tar")))
    berth.load(tmp_path / "good.tar")
    assert berth("run", "--rm", "--network", "none", NAME, "echo", "fine").stdout == "fine\n"


@pytest.mark.parametrize("config, layer", [("../c.json", "l.tar"), ("c.json", "../../l.tar"), ("/etc/passwd", "l.tar")])
def test_a_docker_archive_that_points_outside_is_refused(config, layer, berth, tmp_path):
    (tmp_path / "outside.tar").write_bytes(tar_of(docker_files(config, layer)))
    refused(berth, tmp_path / "outside.tar", layer if config == "c.json" else config)


@pytest.mark.parametrize("form", ["tar", "directory"])
def test_a_link_to_a_file_outside_is_not_followed(form, original, berth, tmp_path):
    """The file outside is the very blob: only following the link could make the load succeed."""
    files = layout_files(original)
    name = layer_name(files)
    shutil.copy(original / name, tmp_path / "outside")
    (tmp_path / "in.tar").write_bytes(tar_of({**files, name: str(tmp_path / "outside")}))
    if form == "directory":
        shutil.copytree(original, tmp_path / "layout")
        (tmp_path / "layout" / name).unlink()
        (tmp_path / "layout" / name).symlink_to(tmp_path / "outside")
    refused(berth, tmp_path / ("in.tar" if form == "tar" else "layout"), name)


def test_a_header_that_claims_a_huge_size_is_refused(original, berth, tmp_path):
    header = tarfile.TarInfo("index.json")
    header.size = 1 << 50
    (tmp_path / "huge.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + (original / "index.json").read_bytes())
    refused(berth, tmp_path / "huge.tar", "huge.tar", "index.json")


def test_a_descriptor_that_claims_a_huge_size_is_refused(original, berth, tmp_path):
    files = layout_files(original)
    index = json.loads(files["index.json"])
    index["manifests"][0]["size"] = 1 << 50
    files["index.json"] = json.dumps(index).encode()
    (tmp_path / "claims.tar").write_bytes(tar_of(files))
    refused(berth, tmp_path / "claims.tar", manifest_name(files), str(1 << 50))
