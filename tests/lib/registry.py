"""Debian's docker-registry on a free port of loopback: plain or TLS, open or with a password."""
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PROGRAM = "docker-registry"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(directory: pathlib.Path) -> None:
    """An own authority (ca.crt) and a certificate for 127.0.0.1 and localhost (server.crt, server.key)."""
    extensions = directory / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=berth test authority", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "server.crt")


class Registry:
    """`with Registry(tls=True, user="u", password="p") as registry: ... registry.host ...`

    `auth` may hold further lines for the configuration's auth section, e.g. for a token service.
    """

    def __init__(self, tls: bool = False, user: str = "", password: str = "", auth: str = ""):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-registry-", dir="/var/tmp"))
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.tls, self.user, self.password = tls, user, password
        self.ca = self.directory / "ca.crt"
        self.log = self.directory / "log"
        self._auth = auth
        self._process: subprocess.Popen | None = None

    def _write_configuration(self) -> pathlib.Path:
        lines = ["version: 0.1", "log: {level: info}",
                 f"storage: {{filesystem: {{rootdirectory: {self.directory / 'data'}}}, delete: {{enabled: true}}}}",
                 "http:", f"  addr: 127.0.0.1:{self.port}"]
        if self.tls:
            make_certificate(self.directory)
            lines.append(f"  tls: {{certificate: {self.directory / 'server.crt'}, key: {self.directory / 'server.key'}}}")
        if self.user:
            passwords = subprocess.run(["htpasswd", "-Bbn", self.user, self.password], check=True, capture_output=True)
            (self.directory / "htpasswd").write_bytes(passwords.stdout)
            lines.append(f"auth: {{htpasswd: {{realm: berth test, path: {self.directory / 'htpasswd'}}}}}")
        elif self._auth:
            lines += ["auth:", self._auth]
        path = self.directory / "config.yml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _answers(self) -> bool:
        scheme = "https" if self.tls else "http"
        context = ssl.create_default_context(cafile=str(self.ca)) if self.tls else None
        try:
            urllib.request.urlopen(f"{scheme}://{self.host}/v2/", timeout=2, context=context).close()
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True

    def __enter__(self) -> "Registry":
        self._configuration = self._write_configuration()
        self._start()
        return self

    def restart(self) -> None:
        """Dies as by kill -9 and comes back at the same address with what it had on disk."""
        self._process.kill()
        self._process.wait()
        self._start()

    def _start(self) -> None:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([PROGRAM, "serve", str(self._configuration)], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"{PROGRAM} does not answer on {self.host}")
            time.sleep(0.05)

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
