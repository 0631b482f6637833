"""An HTTP server on loopback that answers as a test says: for registries that lie, stall or never end."""
import http.server
import json
import threading

from images import Layer, digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients that hang up on a server that lies are what the tests are about."""


class ScriptedRegistry:
    """`routes` maps a path to a function of the request handler, or to (status, headers, body)."""

    def __init__(self):
        self.routes: dict = {}
        self.requests: list[tuple[str, str, dict]] = []  # method, path, headers
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"

    def asked(self, path: str) -> list[dict]:
        """The headers of each request for `path`."""
        return [headers for _, asked, headers in self.requests if asked == path]

    def serve_image(self, repository: str, content: bytes, tag: str = "latest", platform: str = "amd64") -> dict[str, bytes]:
        """An honest image of one plain layer with one file; gives its blobs, so that tests can spoil what they want."""
        layer = Layer().file("content", content).bytes()
        return {**self.serve_layers(repository, [layer], tag, platform), "layer": layer}

    def serve_layers(self, repository: str, layers: list[bytes], tag: str = "latest", platform: str = "amd64") -> dict[str, bytes]:
        """An honest image of these plain layers; gives its manifest and configuration."""
        config = json.dumps({"architecture": platform, "os": "linux", "config": {"Cmd": ["sh"]},
                             "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)} for layer in layers]}).encode()
        for name in (tag, digest(manifest)):
            self.routes[f"/v2/{repository}/manifests/{name}"] = (200, {"Content-Type": MANIFEST}, manifest)
        for blob in (config, *layers):
            self.routes[f"/v2/{repository}/blobs/{digest(blob)}"] = (200, {}, blob)
        return {"manifest": manifest, "config": config}

    def _handler(self):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, status: int, headers: dict, body: bytes = b"") -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                path = self.path.split("?")[0]
                registry.requests.append((self.command, path, {k.lower(): v for k, v in self.headers.items()}))
                route = registry.routes.get(path, (404, {}, b""))
                try:
                    if callable(route):
                        route(self)
                    else:
                        self.reply(*route)
                except OSError:  # the client has gone, as it should in many tests
                    self.close_connection = True

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

            def log_message(self, *_):
                pass

        return Handler

    def __enter__(self) -> "ScriptedRegistry":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
