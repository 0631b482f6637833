"""Pull and push against Debian's docker-registry, with images that other tools made and read back."""
import json
import os
import pathlib
import re
import subprocess
import tempfile

import images
import pytest
from registry import Registry

ZSTD_MAGIC, GZIP_MAGIC = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


def run(*words, **options) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=120, **options)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def registry():
    with Registry() as made:
        yield made


@pytest.fixture(scope="module")
def busybox(registry, busybox_archive):
    """The name of the busybox image, pushed by skopeo."""
    name = f"{registry.host}/team/busybox:1"
    run("skopeo", "copy", "--dest-tls-verify=false", f"oci-archive:{busybox_archive}", f"docker://{name}")
    return name


def inspect(name: str) -> dict:
    return json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}"))


def raw_manifest(name: str) -> str:
    return run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")


def config_digest(name: str) -> str:
    return json.loads(raw_manifest(name))["config"]["digest"]


def blob_file(berth, digest: str) -> pathlib.Path:
    return berth.root / "blobs" / digest.replace(":", "/")


def pull(berth, name: str, *options, **more):
    return berth("image", "pull", "--plain-http", *options, name, **more)


def test_pull_prints_the_id_and_keeps_every_byte(berth, busybox):
    pulled = pull(berth, busybox)
    manifest = json.loads(raw_manifest(busybox))
    assert pulled.stdout.strip() == manifest["config"]["digest"]
    for blob in [manifest["config"], *manifest["layers"]]:
        data = blob_file(berth, blob["digest"]).read_bytes()
        assert len(data) == blob["size"] and images.digest(data) == blob["digest"]
    assert berth("image", "check").stdout == ""


def test_quiet_says_nothing_but_the_id(berth, busybox):
    pulled = pull(berth, busybox, "-q")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", pulled.stdout) and pulled.stderr == ""


def test_pull_by_digest_and_again_without_fetching_blobs(berth, busybox, registry):
    digest = inspect(busybox)["Digest"]
    name = busybox.rsplit(":", 1)[0]
    pull(berth, f"{name}@{digest}")
    log_before = registry.log.read_text().count("/blobs/")
    pull(berth, f"docker://{busybox}")
    assert registry.log.read_text().count("/blobs/") == log_before


@pytest.mark.parametrize("compression,magic", [("gzip", GZIP_MAGIC), ("zstd", ZSTD_MAGIC)])
def test_layers_of_each_compression(berth, registry, tmp_path, compression, magic):
    images.busybox(tmp_path / "image.tar", compression=compression)
    name = f"{registry.host}/layers/{compression}:1"
    run("skopeo", "copy", "--dest-tls-verify=false", f"oci-archive:{tmp_path}/image.tar", f"docker://{name}")
    pull(berth, name)
    layer = json.loads(raw_manifest(name))["layers"][0]
    assert compression in layer["mediaType"]
    assert blob_file(berth, layer["digest"]).read_bytes().startswith(magic)


def test_docker_schema_2(berth, registry, busybox_archive):
    name = f"{registry.host}/docker/schema2:1"
    run("skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci-archive:{busybox_archive}", f"docker://{name}")
    assert "docker.distribution" in json.loads(raw_manifest(name))["mediaType"]
    assert pull(berth, name).stdout.strip() == config_digest(name)


@pytest.fixture(scope="module")
def multi_arch(registry, tmp_path_factory):
    """An index of two images, made and pushed by buildah; each holds a file that names its architecture."""
    storage = tmp_path_factory.mktemp("buildah")
    buildah = ["buildah", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]
    name = f"{registry.host}/multi/arch:1"
    run(*buildah, "manifest", "create", "list")
    for arch in ("arm64", "amd64"):
        (storage / "arch").write_text(arch)
        container = run(*buildah, "from", "scratch").strip()
        run(*buildah, "config", "--arch", arch, "--label", f"arch={arch}", container)
        run(*buildah, "copy", container, storage / "arch", "/arch")
        run(*buildah, "commit", "--manifest", "list", container)
    run(*buildah, "manifest", "push", "--tls-verify=false", "--all", "list", f"docker://{name}")
    return name


@pytest.mark.parametrize("options,arch", [([], "amd64"), (["--platform", "linux/amd64"], "amd64"),
                                          (["--platform", "linux/arm64"], "arm64")])
def test_an_index_gives_this_machines_image_or_the_one_asked_for(berth, multi_arch, options, arch):
    image_id = pull(berth, multi_arch, "-q", *options).stdout.strip()
    config = json.loads(blob_file(berth, image_id).read_bytes())
    assert config["architecture"] == arch and config["config"]["Labels"]["arch"] == arch


def test_a_platform_that_is_not_there(berth, multi_arch):
    refused = pull(berth, multi_arch, "--platform", "linux/s390x", code=125)
    assert "linux/s390x" in refused.stderr and "linux/arm64" in refused.stderr


def test_push_is_read_back_by_others(berth, busybox, registry, tmp_path):
    pull(berth, busybox)
    copy = f"{registry.host}/pushed/copy:2"
    digest = berth("image", "push", "--plain-http", busybox, copy).stdout.strip()
    assert raw_manifest(copy) == raw_manifest(busybox)
    assert inspect(copy)["Digest"] == digest
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{copy}", f"oci:{tmp_path}/layout:x")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:x", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/bin/busybox").exists()
    with tempfile.TemporaryDirectory(prefix="berth-podman-", dir="/var/tmp") as storage:  # podman wants short paths
        podman = ["podman", "--root", f"{storage}/root", "--runroot", f"{storage}/run", "--storage-driver", "vfs"]
        pulled = run(*podman, "pull", "-q", "--tls-verify=false", copy).strip()
    assert pulled == config_digest(copy).split(":")[1]


def test_push_to_an_empty_registry_uploads_and_then_has_nothing_to_do(berth, busybox, tmp_path):
    pull(berth, busybox)
    digest_file = tmp_path / "digest"
    with Registry() as other:
        name = f"{other.host}/new/place:1"
        first = berth("image", "push", "--plain-http", "--digestfile", digest_file, busybox, name)
        assert digest_file.read_text() == first.stdout.strip() == inspect(name)["Digest"]
        uploads = other.log.read_text().count("/blobs/uploads/")
        assert uploads > 0
        again = berth("image", "push", "--plain-http", busybox, name)
        assert again.stdout == first.stdout
        assert other.log.read_text().count("/blobs/uploads/") == uploads


def test_push_mounts_what_a_sister_repository_has(berth, busybox, registry):
    pull(berth, busybox)
    name = f"{registry.host}/mounted/sister:1"
    pushed = berth("image", "push", "--plain-http", busybox, name)
    assert "shared from another repository" in pushed.stderr
    assert "mount=sha256" in registry.log.read_text()
    assert raw_manifest(name) == raw_manifest(busybox)


def test_a_debian_makes_the_round_trip(berth, registry, debian_archive, tmp_path):
    name = f"{registry.host}/debian:bookworm"
    run("skopeo", "copy", "--dest-tls-verify=false", f"oci-archive:{debian_archive}", f"docker://{name}")
    pull(berth, name, timeout=300)
    with Registry() as other:
        copy = f"{other.host}/debian:copy"
        berth("image", "push", "--plain-http", name, copy, timeout=300)
        assert raw_manifest(copy) == raw_manifest(name)
        run("skopeo", "copy", "--src-tls-verify=false", f"docker://{copy}", f"oci:{tmp_path}/layout:x")


def test_names_that_are_not_there(berth, registry, busybox):
    missing = pull(berth, f"{registry.host}/team/busybox:nope", code=125)
    assert f"cannot pull {registry.host}/team/busybox:nope" in missing.stderr and "MANIFEST_UNKNOWN" in missing.stderr
    assert berth("image", "ls", "-q").stdout == ""
    assert "not" in berth("image", "push", "--plain-http", "localhost/nothing:1", code=125).stderr


def test_plain_http_only_where_it_was_asked_for(berth, busybox, registry):
    refused = berth("image", "pull", busybox, code=125)
    assert "--plain-http" in refused.stderr
    elsewhere = berth("image", "pull", "--insecure-registry", "registry.example:5000", busybox, code=125)
    assert "--plain-http" in elsewhere.stderr
    berth("image", "pull", "--insecure-registry", registry.host, busybox)


def test_tls_is_verified(berth, busybox_archive, tmp_path):
    with Registry(tls=True) as secure:
        name = f"{secure.host}/x:1"
        certificates = tmp_path / "certs"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(secure.ca.read_bytes())
        run("skopeo", "copy", "--dest-tls-verify=false", f"oci-archive:{busybox_archive}", f"docker://{name}")
        unknown = berth("image", "pull", name, code=125)
        assert "TLS" in unknown.stderr and "certs.d" in unknown.stderr
        berth("image", "pull", "--cert-dir", certificates, name)
        berth("image", "push", "--cert-dir", certificates, name, f"{secure.host}/y:1")
        berth("image", "pull", "--tls-verify=false", name)
        home = tmp_path / "home"
        (home / ".config/containers/certs.d").mkdir(parents=True)
        certificates.rename(home / ".config/containers/certs.d" / secure.host)
        berth("image", "pull", name, env={**os.environ, "HOME": str(home)})
