"""A token service as docker-registry's token authentication wants it: signed JWTs for those who may have them."""
import base64
import http.server
import json
import pathlib
import subprocess
import tempfile
import shutil
import threading
import time
import urllib.parse
import uuid

import jwt

ISSUER, SERVICE = "berth test tokens", "berth test registry"
USER, PASSWORD, IDENTITY_TOKEN = "carla", "s3cret:with colon", "an-identity-token"


class TokenService:
    """Everybody may pull below public/; USER may do everything, by password or by identity token."""

    def __init__(self, life_s: int = 300):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-tokens-", dir="/var/tmp"))
        self.life_s = life_s
        self.requests: list[tuple[str, list[str], str]] = []  # method, scopes, who
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
                        "cert.pem", "-days", "2", "-subj", "/CN=berth test tokens"], cwd=self.directory, check=True,
                       capture_output=True)
        self._key = (self.directory / "key.pem").read_text()
        certificate = (self.directory / "cert.pem").read_text()
        self._x5c = ["".join(line for line in certificate.splitlines() if "CERTIFICATE" not in line)]
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def registry_auth(self) -> str:
        """The lines for the registry's auth section."""
        return (f"  token: {{realm: '{self.url}', service: {SERVICE}, issuer: {ISSUER}, "
                f"rootcertbundle: {self.directory / 'cert.pem'}}}")

    def _token(self, scopes: list[str], known: bool) -> str:
        access = []
        for scope in scopes:
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            allowed = actions.split(",") if known else ["pull"] if name.startswith("public/") else []
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": USER if known else "", "aud": SERVICE, "iat": now, "nbf": now - 5,
                  "exp": now + self.life_s, "jti": uuid.uuid4().hex, "access": access}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"x5c": self._x5c})

    def answer(self, method: str, fields: dict[str, list[str]], authorization: str) -> tuple[int, dict]:
        scopes = [scope for field in fields.get("scope", []) for scope in field.split()]
        known = False
        if method == "POST":
            known = fields.get("refresh_token") == [IDENTITY_TOKEN] and fields.get("grant_type") == ["refresh_token"]
            if not known:
                return 401, {"error": "invalid_grant"}
        elif authorization:
            known = authorization == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if not known:
                return 401, {"details": "incorrect username or password"}
        self.requests.append((method, scopes, USER if known else ""))
        name = "access_token" if method == "POST" else "token"
        return 200, {name: self._token(scopes, known), "expires_in": self.life_s}

    def _handler(self):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _reply(self, query: str) -> None:
                fields = urllib.parse.parse_qs(query)
                status, document = service.answer(self.command, fields, self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self._reply(urllib.parse.urlsplit(self.path).query)

            def do_POST(self):
                self._reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *_):
                pass

        return Handler

    def __enter__(self) -> "TokenService":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self.directory, ignore_errors=True)
