"""Test images made offline: a busybox one with plain Python, a whole Debian by debootstrap."""
import fcntl
import gzip
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from paths import CACHE

BUSYBOX = pathlib.Path("/bin/busybox")
PATH_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MTIME = 1700000000


class Layer:
    """A layer archive in the making; entries appear in the order they are added."""

    def __init__(self):
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, kind: bytes, mode: int, uid: int = 0, gid: int = 0, data: bytes = b"", link: str = "",
            device: tuple[int, int] = (0, 0), pax: dict | None = None) -> "Layer":
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, uid, gid, MTIME
        info.linkname, info.size, info.pax_headers = link, len(data), pax or {}
        info.devmajor, info.devminor = device
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name: str, mode: int = 0o755, **more) -> "Layer":
        return self.add(name, tarfile.DIRTYPE, mode, **more)

    def file(self, name: str, data: bytes | str = b"", mode: int = 0o644, **more) -> "Layer":
        return self.add(name, tarfile.REGTYPE, mode, data=data.encode() if isinstance(data, str) else data, **more)

    def symlink(self, name: str, target: str, **more) -> "Layer":
        return self.add(name, tarfile.SYMTYPE, 0o777, link=target, **more)

    def hardlink(self, name: str, target: str, mode: int = 0o644, **more) -> "Layer":
        return self.add(name, tarfile.LNKTYPE, mode, link=target, **more)

    def device(self, name: str, kind: str, major: int, minor: int, mode: int = 0o666, **more) -> "Layer":
        types = {"c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}
        return self.add(name, types[kind], mode, device=(major, minor), **more)

    def whiteout(self, name: str) -> "Layer":
        path = pathlib.PurePosixPath(name)
        return self.file(str(path.parent / f".wh.{path.name}"))

    def bytes(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compress(data: bytes, compression: str) -> tuple[bytes, str]:
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"
    if compression == "zstd":
        packed = subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
        return packed, "application/vnd.oci.image.layer.v1.tar+zstd"
    return data, "application/vnd.oci.image.layer.v1.tar"


def write_layout(directory: pathlib.Path, layers: list[bytes], name: str, config: dict | None = None,
                 compression: str = "gzip") -> str:
    """Writes an OCI image layout with one image; gives the manifest's digest. `layers` are plain tar archives."""
    directory = pathlib.Path(directory)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def put(data: bytes, media_type: str) -> dict:
        (blobs / digest(data).split(":")[1]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    settings = {"Env": [PATH_ENV], "Cmd": ["sh"], **(config or {})}
    document = {"created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
                "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"layer {n}"} for n in range(len(layers))]}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": put(json.dumps(document).encode(), "application/vnd.oci.image.config.v1+json"),
                "layers": [put(*compress(layer, compression)) for layer in layers]}
    descriptor = put(json.dumps(manifest).encode(), manifest["mediaType"])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
    descriptor["platform"] = {"architecture": "amd64", "os": "linux"}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]}))
    return descriptor["digest"]


def write_archive(archive: pathlib.Path, layers: list[bytes], name: str, config: dict | None = None,
                  compression: str = "gzip") -> str:
    """The same as one tar file (oci-archive)."""
    with tempfile.TemporaryDirectory() as scratch:
        made = write_layout(pathlib.Path(scratch), layers, name, config, compression)
        with tarfile.open(archive, "w") as tar:
            tar.add(scratch, arcname=".")
    return made


def busybox_layer(extra: dict[str, pathlib.Path] | None = None) -> bytes:
    """A small root: static busybox with all its applets, the usual directories and accounts."""
    layer = Layer()
    for name in ("bin", "dev", "etc", "home", "proc", "run", "sys", "usr", "usr/bin", "var"):
        layer.directory(name)
    layer.directory("root", 0o700).directory("tmp", 0o1777).directory("home/tester", uid=1000, gid=1000)
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
                             "tester:x:1000:1000:tester:/home/tester:/bin/sh\n")
    layer.file("etc/group", "root:x:0:\nnogroup:x:65534:\ntester:x:1000:\nstaff:x:50:tester\n")
    layer.file("etc/os-release", 'NAME="berth test image"\nID=berth-test\n')
    layer.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            layer.symlink(f"bin/{applet}", "busybox")
    for name, source in (extra or {}).items():
        layer.file(name, source.read_bytes(), 0o755)
    return layer.bytes()


def busybox(archive: pathlib.Path, name: str = "localhost/busybox:latest", config: dict | None = None,
            compression: str = "gzip", extra: dict[str, pathlib.Path] | None = None) -> pathlib.Path:
    """Writes the busybox image as an oci-archive."""
    write_archive(archive, [busybox_layer(extra)], name, config, compression)
    return archive


def debian_mirror() -> tuple[str, str]:
    """The (mirror, suite) that this machine's apt is configured for."""
    text = "".join(path.read_text(encoding="utf-8") for path in
                   [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
                   if path.is_file())
    if found := re.search(r"^URIs:\s*(\S+/debian/?)\s*\nSuites:\s*(\w+)", text, re.MULTILINE):
        return found.group(1), found.group(2)
    if found := re.search(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+/debian/?)\s+(\w+)\s", text, re.MULTILINE):
        return found.group(1), found.group(2)
    return "http://deb.debian.org/debian", "bookworm"


def debian_layer() -> pathlib.Path:
    """A Debian root (minbase) as a plain tar, made once by debootstrap and kept in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    tarball = CACHE / "debian-minbase.tar"
    with open(CACHE / "debian.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tarball.exists():
            make_debian_root(tarball)
    return tarball


def make_debian_root(tarball: pathlib.Path) -> None:
    mirror, suite = debian_mirror()
    root = pathlib.Path(tempfile.mkdtemp(prefix="berth-debian-", dir="/var/tmp"))
    try:
        subprocess.run(["debootstrap", "--variant=minbase", suite, root, mirror], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        shutil.rmtree(root / "var" / "cache" / "apt")
        partial = tarball.with_suffix(".partial")
        subprocess.run(["tar", "--create", "--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*",
                        "--exclude=./dev/*", "--file", partial, "--directory", root, "."], check=True)
        partial.rename(tarball)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def debian(name: str = "localhost/debian:bookworm", compression: str = "gzip") -> pathlib.Path:
    """The Debian image as an oci-archive; kept in the cache."""
    archive = CACHE / f"debian-{compression}.oci.tar"
    layer = debian_layer()
    with open(CACHE / "debian.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            partial = archive.with_suffix(".partial")
            write_archive(partial, [layer.read_bytes()], name, {"Cmd": ["bash"]}, compression)
            partial.rename(archive)
    return archive
