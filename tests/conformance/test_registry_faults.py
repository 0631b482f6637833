"""Bad networks, bad registries and sudden deaths: what berth does when things go wrong."""
import hashlib
import json
import os
import re
import signal
import subprocess
import time

import images
import pytest
from proxy import Proxy
from registry import Registry
from scripted_registry import LAYER, ScriptedRegistry

BIG = 12 << 20


def skopeo(*words) -> None:
    done = subprocess.run(["skopeo", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def big_archive(tmp_path_factory):
    """Two layers of bytes that do not compress."""
    directory = tmp_path_factory.mktemp("big")
    layers = [images.Layer().file("random", os.urandom(BIG)).bytes() for _ in range(2)]
    images.write_archive(directory / "big.tar", layers, "big")
    return directory / "big.tar"


@pytest.fixture(scope="module")
def registry(big_archive):
    with Registry() as made:
        skopeo("copy", "--dest-tls-verify=false", f"oci-archive:{big_archive}", f"docker://{made.host}/big:1")
        yield made


def pull(berth, name, *options, **more):
    return berth("image", "pull", "--plain-http", *options, name, **more)


def image_blobs(berth) -> int:
    return sum(1 for path in (berth.root / "blobs").rglob("*") if path.is_file())


# --- the network ---

def test_cut_connections_are_resumed_where_they_broke(berth, registry):
    with Proxy(registry.port, cut_after=5 << 20, cuts=4) as proxy:
        pulled = pull(berth, f"{proxy.host}/big:1")
        assert proxy.cut == 4 and pulled.stderr.count("retrying") == 4
        # Each cut costs what was under way, not what had arrived.
        assert proxy.received < 2 * BIG + (4 << 20)
    assert '" 206 ' in registry.log.read_text()
    assert berth("image", "check").stdout == ""


def test_kill_9_during_a_pull_and_the_next_one_goes_on(berth, registry):
    with Proxy(registry.port, bytes_per_second=12 << 20) as slow:
        name = f"{slow.host}/big:1"
        running = berth.start("image", "pull", "--plain-http", name)
        berth.wait_until(lambda: slow.received > 8 << 20)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert berth("image", "ls", "-q").stdout == ""
        kept = sum(path.stat().st_size for path in (berth.root / "ingest").iterdir() if path.is_file())
        assert kept > 4 << 20
        before = slow.received
        pull(berth, name)
        assert slow.received - before < 2 * BIG + (1 << 20) - kept + (1 << 20)
    assert berth("image", "check").stdout == ""
    assert list((berth.root / "ingest").iterdir()) == []


def test_two_pulls_at_once_fetch_each_blob_once(berth, registry):
    with Proxy(registry.port, bytes_per_second=48 << 20) as proxy:
        pulls = [berth.start("image", "pull", "--plain-http", f"{proxy.host}/big:1") for _ in range(3)]
        for running in pulls:
            out, err = running.communicate(timeout=60)
            assert running.returncode == 0, err
        assert proxy.received < 2 * BIG + (2 << 20)


def test_a_layer_is_unpacked_while_one_below_it_is_still_on_its_way(berth):
    """The lower layer's bytes come only once the upper one is in the store: no timing decides."""
    lower, upper = (images.Layer().directory("./").file(name, name).bytes() for name in ("lower", "upper"))

    def held_back(request):
        until = time.monotonic() + 60
        while not list((berth.root / "layers").glob("*/fs/upper")) and time.monotonic() < until:
            time.sleep(0.01)
        request.reply(200, {}, lower)

    with ScriptedRegistry() as server:
        server.serve_layers("x", [lower, upper])
        server.routes[blob_path(lower)] = held_back
        begin = time.monotonic()
        pull(berth, f"{server.host}/x")
        assert time.monotonic() - begin < 50, "the upper layer waited for the lower one"
    assert len(list((berth.root / "layers").glob("*/fs/lower"))) == 1


def test_an_interrupted_push_goes_on(berth, registry, big_archive):
    pull(berth, f"{registry.host}/big:1")
    with Registry() as target:
        name = f"{target.host}/big:pushed"
        # The registry dies under the upload and comes back: its upload session survives on disk.
        pushing = berth.start("image", "push", "--plain-http", "--retry", "20", f"{registry.host}/big:1", name)
        berth.wait_until(lambda: b"/blobs/uploads/" in target.log.read_bytes())
        target.restart()
        out, err = pushing.communicate(timeout=60)
        assert pushing.returncode == 0, err
        skopeo("inspect", "--tls-verify=false", f"docker://{name}")


def test_a_registry_that_is_not_there(berth):
    started = time.monotonic()
    refused = pull(berth, "127.0.0.1:1/x", "--retry", "2", code=125)
    assert "127.0.0.1:1" in refused.stderr and "gave up" in refused.stderr
    assert time.monotonic() - started < 5


# --- registries that say no for now ---

def fails_first(times: int, status: int, headers: dict, then):
    left = [times]

    def answer(request):
        if left[0] > 0:
            left[0] -= 1
            return request.reply(status, headers, b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}')
        return request.reply(*then)

    return answer


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_retried(berth, status):
    with ScriptedRegistry() as server:
        server.serve_image("x", b"layer" * 5000)
        for path, route in list(server.routes.items()):
            server.routes[path] = fails_first(2, status, {}, route)
        assert "retrying" in pull(berth, f"{server.host}/x").stderr


def test_retry_after_is_honoured(berth):
    with ScriptedRegistry() as server:
        server.serve_image("x", b"layer" * 5000)
        path = "/v2/x/manifests/latest"
        server.routes[path] = fails_first(1, 429, {"Retry-After": "2"}, server.routes[path])
        started = time.monotonic()
        pull(berth, f"{server.host}/x")
        assert 2 <= time.monotonic() - started < 10


def test_what_will_not_pass_is_not_retried(berth):
    with ScriptedRegistry() as server:
        server.routes["/v2/x/manifests/latest"] = (
            403, {}, b'{"errors": [{"code": "DENIED\\u001b[31m", "message": "no\\nway"}]}')
        refused = pull(berth, f"{server.host}/x", code=125)
        assert len(server.requests) == 1
        assert "HTTP status 403" in refused.stderr and "no way" in refused.stderr and "\x1b" not in refused.stderr


# --- registries that lie ---

@pytest.fixture
def server():
    with ScriptedRegistry() as made:
        yield made


@pytest.fixture
def image(server):
    """An honest image of a 1 MiB layer at `server`, to be spoilt."""
    return server.serve_image("x", os.urandom(1 << 20))


def manifest_path(name: str = "latest") -> str:
    return f"/v2/x/manifests/{name}"


def blob_path(data: bytes) -> str:
    return f"/v2/x/blobs/{images.digest(data)}"


def refused(berth, server, *options, name: str = "x") -> str:
    """The error of a pull that must fail, soon and within 64 MiB, and leave no image and no wrong blob."""
    command = berth.command("pull", "--plain-http", "--retry", "2", *options, f"{server.host}/{name}",
                            program="berth-image")
    done = subprocess.run(["prlimit", f"--data={64 << 20}", *command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=30)
    assert done.returncode == 125, done.stderr
    assert berth("image", "ls", "-q").stdout == ""
    for path in (berth.root / "blobs").rglob("*"):
        if path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return done.stderr


def test_an_honest_image_is_pulled(berth, server, image):
    pull(berth, f"{server.host}/x")


def test_other_bytes_of_the_right_length(berth, server, image):
    server.routes[blob_path(image["layer"])] = (200, {}, bytes(len(image["layer"])))
    assert "damaged" in refused(berth, server)


def test_a_manifest_that_is_not_the_digest_asked_for(berth, server, image):
    digest = images.digest(image["manifest"])
    other = image["manifest"].replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    server.routes[manifest_path(digest)] = (200, {}, other)
    assert images.digest(other) in refused(berth, server, name=f"x@{digest}")


def test_a_manifest_that_is_not_what_the_registry_claims(berth, server, image):
    server.routes[manifest_path()] = (200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, image["manifest"])
    assert "its digest is" in refused(berth, server)


@pytest.mark.parametrize("change", [-1, 1, 1 << 30])
def test_a_length_that_differs_from_the_manifests(berth, server, image, change):
    def answer(request):
        request.reply(200, {"Content-Length": str(len(image["layer"]) + change)}, image["layer"])
    server.routes[blob_path(image["layer"])] = answer
    assert "the registry says" in refused(berth, server)


def endless(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while True:
        request.wfile.write(chunk)


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
def test_endless_bodies(berth, server, image, what):
    server.routes[manifest_path() if what == "manifest" else blob_path(image[what])] = endless
    assert re.search("longer than|the registry says more", refused(berth, server))


def test_endless_error_pages(berth, server, image):
    def answer(request):
        request.send_response_only(404)
        request.end_headers()
        while True:
            request.wfile.write(bytes(65536))
    server.routes[manifest_path()] = answer
    assert "HTTP status 404" in refused(berth, server)


def test_header_floods(berth, server, image):
    def answer(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            request.wfile.write(b"X-Flood: " + b"x" * 1000 + b"\r\n")
    server.routes[manifest_path()] = answer
    assert "header" in refused(berth, server)


def test_bodies_that_end_early_time_after_time(berth, server, image):
    def answer(request):
        request.reply(200, {"Content-Length": str(len(image["layer"])), "Connection": "close"}, b"x" * 10)
        request.close_connection = True
    server.routes[blob_path(image["layer"])] = answer
    assert "gave up" in refused(berth, server)


def test_a_server_that_ignores_ranges(berth, server, image):
    layer, asked = image["layer"], []

    def answer(request):
        asked.append(request.headers.get("Range"))
        if len(asked) == 1:
            request.reply(200, {"Content-Length": str(len(layer))}, layer[:500_000])
            request.close_connection = True
        else:
            request.reply(200, {}, layer)
    server.routes[blob_path(layer)] = answer
    pull(berth, f"{server.host}/x")
    assert asked == [None, "bytes=500000-"]


def test_a_server_that_answers_with_another_range(berth, server, image):
    layer = image["layer"]

    def answer(request):
        if request.headers.get("Range"):
            request.reply(206, {"Content-Range": f"bytes 7-{len(layer) - 1}/{len(layer)}"}, layer[7:])
        else:
            request.reply(200, {"Content-Length": str(len(layer))}, layer[:500_000])
            request.close_connection = True
    server.routes[blob_path(layer)] = answer
    assert "another range" in refused(berth, server)


def test_bytes_kept_from_a_lying_server_do_no_harm(berth, server, image):
    layer = image["layer"]
    (berth.root / "ingest").mkdir(parents=True)
    kept = berth.root / "ingest" / images.digest(layer).replace(":", "-")
    kept.write_bytes(b"x" * 1000)

    def answer(request):
        if request.headers.get("Range"):
            request.reply(206, {"Content-Range": f"bytes 1000-{len(layer) - 1}/{len(layer)}"}, layer[1000:])
        else:
            request.reply(200, {}, layer)
    server.routes[blob_path(layer)] = answer
    pull(berth, f"{server.host}/x")
    assert [bool(headers.get("range")) for headers in server.asked(blob_path(layer))] == [True, False]


def test_redirects_without_end_or_aim(berth, server, image):
    for location in ("/v2/x/manifests/latest", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://user:pw@127.0.0.1/"):
        server.routes[manifest_path()] = (307, {"Location": location}, b"")
        assert "redirect" in refused(berth, server), location


def test_compressed_transfers_are_not_expanded(berth, server, image):
    server.routes[blob_path(image["layer"])] = (200, {"Content-Encoding": "gzip"}, image["layer"])
    pull(berth, f"{server.host}/x")  # the bytes as they are sent are what the digest is of


def spoil(server, image, **changes) -> None:
    document = {**json.loads(image["manifest"]), **changes}
    server.routes[manifest_path()] = (200, {}, json.dumps(document).encode())


def test_images_that_berth_does_not_read(berth, server, image):
    document = json.loads(image["manifest"])
    layer = document["layers"][0]
    cases = [({"schemaVersion": 1}, "schemaVersion"),
             ({"layers": [{**layer, "urls": ["http://example.com/layer"]}]}, "foreign"),
             ({"layers": [{**layer, "mediaType": LAYER.replace("layer", "layer.nondistributable")}]}, "foreign"),
             ({"layers": [{**layer, "mediaType": "application/vnd.cncf.helm.chart"}]}, "not a container image"),
             ({"config": {**document["config"], "mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "not a container image"),
             ({"config": {**document["config"], "size": 1 << 40}}, "config.size"),
             ({"layers": [layer, layer]}, "2 layers, the configuration 1"),
             ({"manifests": []}, "must not have a member")]
    for changes, words in cases:
        spoil(server, image, **changes)
        assert words in refused(berth, server), changes


def test_indexes_within_indexes(berth, server):
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    body = json.dumps(document).encode()
    for _ in range(10):
        digest = images.digest(body)
        server.routes[manifest_path(digest)] = (200, {}, body)
        document["manifests"] = [{"mediaType": document["mediaType"], "digest": digest, "size": len(body),
                                  "platform": {"os": "linux", "architecture": "amd64"}}]
        body = json.dumps(document).encode()
    server.routes[manifest_path()] = (200, {}, body)
    assert "within indexes" in refused(berth, server)


def test_attestations_are_passed_over(berth, server, image):
    entry = {"mediaType": json.loads(image["manifest"])["mediaType"], "digest": images.digest(image["manifest"]),
             "size": len(image["manifest"])}
    attestation = {**entry, "digest": "sha256:" + "1" * 64, "platform": {"os": "unknown", "architecture": "unknown"},
                   "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
             "manifests": [attestation, {**entry, "platform": {"os": "linux", "architecture": "amd64"}}]}
    server.routes[manifest_path()] = (200, {}, json.dumps(index).encode())
    pull(berth, f"{server.host}/x")


def test_a_document_of_two_kinds_by_the_header(berth, server, image):
    server.routes[manifest_path()] = (
        200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, image["manifest"])
    assert "but the document is" in refused(berth, server)


def test_token_services_that_lie(berth, server, image):
    def challenge(realm: str) -> tuple:
        return (401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}, b"")

    for realm, body, words in ((f"{server.url}/token", b'{"token": "a\\r\\nX-Evil: 1"}', "no usable token"),
                               (f"{server.url}/token", b"not json", "not valid JSON"),
                               (f"{server.url}/token", bytes(1 << 20), "longer than"),
                               ("file:///etc/passwd", b"", "only http"), ("", b"", "realm")):
        server.routes["/token"] = (200, {}, body)
        server.routes[manifest_path()] = challenge(realm)
        assert words in refused(berth, server), realm
