"""Who we are to a registry: passwords, tokens, auth files, credential helpers, login and logout."""
import base64
import json
import os
import stat
import subprocess
import urllib.parse

import images
import pytest
from registry import Registry
from scripted_registry import ScriptedRegistry
from token_service import IDENTITY_TOKEN, PASSWORD, USER, TokenService

SECRET = "hunter2:with colon"


def skopeo(*words) -> None:
    done = subprocess.run(["skopeo", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def guarded(busybox_archive):
    """A registry with a password, and an image in it."""
    with Registry(user="alice", password=SECRET) as registry:
        skopeo("copy", "--dest-tls-verify=false", f"--dest-creds=alice:{SECRET}", f"oci-archive:{busybox_archive}",
               f"docker://{registry.host}/x:1")
        yield registry


@pytest.fixture
def home(tmp_path):
    """An environment in which no credentials are known."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    (tmp_path / "run").mkdir()
    return {**kept, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def write_auth(path, document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def entry(user: str, password: str) -> dict:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def pull(berth, name, *options, **more):
    return berth("image", "pull", "--plain-http", "--retry", "1", *options, name, **more)


def test_without_credentials_the_error_says_what_to_do(berth, guarded, home):
    refused = pull(berth, f"{guarded.host}/x:1", env=home, code=125)
    assert f"berth image login {guarded.host}" in refused.stderr


def test_wrong_credentials_are_refused_and_not_shown(berth, guarded, home):
    refused = pull(berth, f"{guarded.host}/x:1", "--creds", "alice:wrong-secret", env=home, code=125)
    assert "did not accept the credentials" in refused.stderr and "wrong-secret" not in refused.stderr


def test_given_credentials(berth, guarded, home):
    pull(berth, f"{guarded.host}/x:1", "--creds", f"alice:{SECRET}", env=home)
    berth("image", "push", "--plain-http", "--creds", f"alice:{SECRET}", f"{guarded.host}/x:1", f"{guarded.host}/y:1", env=home)


@pytest.mark.parametrize("place", [".docker/config.json", ".config/containers/auth.json", "run/containers/auth.json"])
def test_the_usual_auth_files(berth, guarded, home, tmp_path, place):
    write_auth(tmp_path / place, {"auths": {guarded.host: entry("alice", SECRET)}})
    pull(berth, f"{guarded.host}/x:1", env=home)


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "--authfile"])
def test_chosen_auth_files(berth, guarded, home, tmp_path, variable):
    file = tmp_path / "chosen" / "config.json"
    write_auth(file, {"auths": {f"https://{guarded.host}/v2/": entry("alice", SECRET)}})
    options = ["--authfile", file] if variable == "--authfile" else []
    value = str(file.parent if variable == "DOCKER_CONFIG" else file)
    pull(berth, f"{guarded.host}/x:1", *options, env=home if options else {**home, variable: value})


def test_a_damaged_auth_file_is_named_and_not_quoted(berth, guarded, home, tmp_path):
    file = tmp_path / "auth.json"
    write_auth(file, {"auths": {guarded.host: {"auth": base64.b64encode(b"no-colon-secret").decode()}}})
    refused = pull(berth, f"{guarded.host}/x:1", "--authfile", file, env=home, code=125)
    assert f"auths.{guarded.host}.auth" in refused.stderr and "secret" not in refused.stderr
    missing = pull(berth, f"{guarded.host}/x:1", "--authfile", tmp_path / "none", env=home, code=125)
    assert "--authfile" in missing.stderr


HELPER = """#!/bin/sh
echo "$1" >> {log}
case $1 in
get) read -r server; echo "$server" >> {log}
     if [ -f {store} ]; then cat {store}; else echo "credentials not found in native keychain"; exit 1; fi;;
store) cat > {store};;
erase) rm -f {store};;
esac
"""


@pytest.fixture
def helper(tmp_path, home):
    """A credential helper "test" in PATH that keeps one entry in a file."""
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER.format(log=tmp_path / "helper.log", store=tmp_path / "kept.json"))
    program.chmod(0o755)
    home["PATH"] = f"{program.parent}:{home['PATH']}"
    return tmp_path / "helper.log"


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_credential_helpers(berth, guarded, home, helper, tmp_path, key):
    named = "test" if key == "credsStore" else {guarded.host: "test"}
    write_auth(tmp_path / ".docker/config.json", {key: named})
    refused = pull(berth, f"{guarded.host}/x:1", env=home, code=125)
    assert "login" in refused.stderr
    (tmp_path / "kept.json").write_text(json.dumps({"ServerURL": guarded.host, "Username": "alice", "Secret": SECRET}))
    pull(berth, f"{guarded.host}/x:1", env=home)
    assert helper.read_text().splitlines()[-2:] == ["get", guarded.host]


def test_login_goes_to_the_helper_where_the_file_names_one(berth, guarded, home, helper, tmp_path):
    file = tmp_path / "auth.json"
    write_auth(file, {"credHelpers": {guarded.host: "test"}})
    berth("image", "login", "--plain-http", "--authfile", file, "-u", "alice", "--password-stdin", guarded.host,
          stdin=SECRET, env=home)
    assert json.loads((tmp_path / "kept.json").read_text())["Secret"] == SECRET
    assert "auths" not in json.loads(file.read_text())
    pull(berth, f"{guarded.host}/x:1", "--authfile", file, env=home)
    berth("image", "logout", "--authfile", file, guarded.host, env=home)
    assert not (tmp_path / "kept.json").exists()


def test_a_helper_that_is_missing(berth, guarded, home, tmp_path):
    write_auth(tmp_path / ".docker/config.json", {"credsStore": "is-not-installed"})
    refused = pull(berth, f"{guarded.host}/x:1", env=home, code=125)
    assert "docker-credential-is-not-installed" in refused.stderr


def test_login_writes_what_podman_and_skopeo_read(berth, guarded, home, tmp_path):
    said = berth("image", "login", "--plain-http", "-u", "alice", "--password-stdin", guarded.host, stdin=SECRET + "\n", env=home)
    assert said.stdout == "Login Succeeded!\n"
    file = tmp_path / "run/containers/auth.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["auths"] == {guarded.host: entry("alice", SECRET)}
    skopeo("inspect", "--tls-verify=false", f"--authfile={file}", f"docker://{guarded.host}/x:1")
    pull(berth, f"{guarded.host}/x:1", env=home)
    berth("image", "logout", guarded.host, env=home)
    assert json.loads(file.read_text())["auths"] == {}
    pull(berth, f"{guarded.host}/x:1", env=home, code=125)
    assert "not logged in" in berth("image", "logout", guarded.host, env=home, code=125).stderr


def test_login_that_fails_keeps_nothing(berth, guarded, home, tmp_path):
    refused = berth("image", "login", "--plain-http", "-u", "alice", "--password-stdin", guarded.host, stdin="wrong-secret",
                    env=home, code=125)
    assert "did not accept" in refused.stderr and "wrong-secret" not in refused.stderr
    assert not (tmp_path / "run/containers/auth.json").exists()


def test_login_asks_at_the_terminal_without_echo(berth, guarded, home):
    terminal = berth.terminal("image", "login", "--plain-http", guarded.host, env=home)
    terminal.expect("Username: ")
    terminal.type("alice\n")
    terminal.expect("Password: ")
    terminal.type(SECRET + "\n")
    assert SECRET not in terminal.expect("Login Succeeded!")
    assert terminal.wait() == 0


@pytest.fixture(scope="module")
def tokens(busybox_archive):
    """A registry that asks for bearer tokens, with a public and a private image."""
    with TokenService() as service, Registry(auth=service.registry_auth()) as registry:
        for name in ("public/x:1", "private/x:1"):
            skopeo("copy", "--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}", f"oci-archive:{busybox_archive}",
                   f"docker://{registry.host}/{name}")
        service.requests.clear()
        yield registry, service


def test_anonymous_tokens(berth, tokens, home):
    registry, service = tokens
    service.requests.clear()
    pull(berth, f"{registry.host}/public/x:1", env=home)
    assert service.requests == [("GET", ["repository:public/x:pull"], "")], "one token serves the whole pull"
    refused = pull(berth, f"{registry.host}/private/x:1", env=home, code=125)
    assert f"berth image login {registry.host}" in refused.stderr


def test_tokens_for_a_password(berth, tokens, home):
    registry, service = tokens
    creds = ["--creds", f"{USER}:{PASSWORD}"]
    pull(berth, f"{registry.host}/private/x:1", *creds, env=home)
    berth("image", "push", "--plain-http", *creds, f"{registry.host}/private/x:1", f"{registry.host}/private/y:1", env=home)
    assert any("repository:private/y:pull,push" in scopes for _, scopes, _ in service.requests)
    wrong = pull(berth, f"{registry.host}/private/x:1", "--creds", f"{USER}:nope", env=home, code=125)
    assert "did not accept the credentials" in wrong.stderr


def test_identity_tokens_are_traded_by_post(berth, tokens, home, tmp_path):
    registry, service = tokens
    write_auth(tmp_path / ".docker/config.json", {"auths": {registry.host: {"identitytoken": IDENTITY_TOKEN}}})
    service.requests.clear()
    pull(berth, f"{registry.host}/private/x:1", env=home)
    assert service.requests == [("POST", ["repository:private/x:pull"], USER)]


def test_login_by_token(berth, tokens, home):
    registry, _ = tokens
    berth("image", "login", "--plain-http", "-u", USER, "--password-stdin", registry.host, stdin=PASSWORD, env=home)
    pull(berth, f"{registry.host}/private/x:1", env=home)
    berth("image", "login", "--plain-http", "-u", USER, "--password-stdin", registry.host, stdin="nope", env=home, code=125)


def test_credentials_do_not_follow_a_redirect(berth, home):
    with ScriptedRegistry() as registry, ScriptedRegistry() as elsewhere:
        image = registry.serve_image("x", b"layer" * 1000)
        blobs = [path for path in registry.routes if "/blobs/" in path]
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        honest = dict(registry.routes)

        def guard(path):
            def answer(request):
                if not request.headers.get("Authorization"):
                    return request.reply(401, challenge)
                if path in blobs:
                    return request.reply(307, {"Location": f"{elsewhere.url}{path}"})
                return request.reply(*honest[path])
            return answer

        for path in honest:
            registry.routes[path] = guard(path)
            elsewhere.routes[path] = honest[path]
        pull(berth, f"{registry.host}/x", "--creds", f"bob:{SECRET}", env=home)
        assert image and len(elsewhere.requests) == len(blobs)
        assert all("authorization" not in headers for _, _, headers in elsewhere.requests)


class UploadServer(ScriptedRegistry):
    """Takes blobs and manifests by the distribution-spec's uploads, in one request or in two; keeps what arrived."""

    def __init__(self):
        super().__init__()
        self.taken: dict[str, bytes] = {}
        self.pending = b""
        self.routes = AnyPath(self.answer)

    def answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path, _, query = request.path.partition("?")
        if request.command == "HEAD":
            return request.reply(404, {})
        if request.command == "POST":
            self.pending = b""
            return request.reply(202, {"Location": f"{path}session"})
        self.pending += body
        if request.command == "PATCH":
            return request.reply(202, {"Location": path})
        name = urllib.parse.parse_qs(query).get("digest", [path.rsplit("/", 1)[1]])[0]
        self.taken[name], self.pending = self.pending, b""
        return request.reply(201, {"Location": path})


class AnyPath(dict):
    """Routes that send every path to one handler."""

    def __init__(self, handler):
        super().__init__()
        self.handler = handler

    def get(self, _path, _default=None):
        return self.handler


@pytest.mark.parametrize("status", [307, 308])
def test_a_push_is_redirected_body_and_all_but_no_credentials(status, berth, home, busybox_archive, tmp_path):
    berth.load(busybox_archive)
    with ScriptedRegistry() as front, UploadServer() as store:
        def send_on(request):
            request.rfile.read(int(request.headers.get("Content-Length") or 0))
            if not request.headers.get("Authorization"):
                return request.reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
            return request.reply(status, {"Location": f"{store.url}{request.path}"})

        front.routes = AnyPath(send_on)
        berth("image", "push", "--plain-http", "--creds", f"bob:{SECRET}", "localhost/busybox:latest", f"{front.host}/x:1", env=home)
        assert all("authorization" not in headers for _, _, headers in store.requests)
        manifest = json.loads(store.taken.pop("1"))
        assert set(store.taken) == {blob["digest"] for blob in [manifest["config"], *manifest["layers"]]}
        assert all(images.digest(content) == name for name, content in store.taken.items())


def test_a_push_is_not_turned_into_something_else(berth, home, busybox_archive):
    berth.load(busybox_archive)
    with ScriptedRegistry() as front, UploadServer() as store:
        def send_on(request):
            request.rfile.read(int(request.headers.get("Content-Length") or 0))
            if request.command == "HEAD":
                return request.reply(404, {})
            return request.reply(303, {"Location": f"{store.url}{request.path}"})

        front.routes = AnyPath(send_on)
        refused = berth("image", "push", "--plain-http", "localhost/busybox:latest", f"{front.host}/x:1", env=home, code=125)
        assert "303" in refused.stderr and store.requests == []
