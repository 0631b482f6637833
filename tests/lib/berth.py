"""Runs berth's programs with a private root, so that tests share nothing with each other or with the machine."""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from paths import BIN

TIMEOUT_S = 60


@dataclass(frozen=True)
class Done:
    args: list
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.args))}\n-> exit {self.code}\nstdout: {self.stdout!r}\nstderr: {self.stderr!r}"


class Berth:
    """One private store and set of instances: `berth("run", "--rm", image, "true")`."""

    def __init__(self, root: pathlib.Path | str | None = None, binary_dir: pathlib.Path = BIN, prefix: list[str] = ()):
        self._made = root is None
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="berth-test-", dir="/var/tmp"))
        self.binary_dir = pathlib.Path(binary_dir)
        self.prefix = list(prefix)  # in front of every command, e.g. ["setpriv", "--reuid=1000", ...]

    def command(self, *args, program: str = "berth") -> list[str]:
        return [*self.prefix, str(self.binary_dir / program), "--root", str(self.root), *map(str, args)]

    def __call__(self, *args, code: int | None = 0, stdin: str | bytes | None = None, timeout: float = TIMEOUT_S,
                 env: dict | None = None, **popen) -> Done:
        """Runs to the end; `code` is the exit status that must come back (None: any)."""
        command = self.command(*args)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        source = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        ran = subprocess.run(command, capture_output=True, timeout=timeout, env=env, check=False, **source, **popen)
        done = Done(command, ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
        assert code is None or done.code == code, f"expected exit {code}: {done}"
        return done

    def start(self, *args, **popen) -> subprocess.Popen:
        """Starts a command with pipes for all three streams."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        return subprocess.Popen(self.command(*args), **options)

    def terminal(self, *args, **options) -> "Terminal":
        return Terminal(self.command(*args), **options)

    def json(self, *args, **options):
        return json.loads(self(*args, **options).stdout)

    def inspect(self, name: str) -> dict:
        found = self.json("inspect", name)
        return found[0] if isinstance(found, list) else found

    def load(self, archive: pathlib.Path | str) -> None:
        self("image", "load", "-i", archive, timeout=300)

    def instances(self) -> list[dict]:
        return self.json("--format", "json", "ps", "-a")

    def wait_until(self, condition, timeout: float = 10, every: float = 0.02):
        """Polls until `condition()` is true; gives its value, fails after `timeout` seconds."""
        return wait_until(condition, timeout, every)

    def remove_all(self) -> None:
        """Ends and removes every instance, whatever became of it."""
        listed = subprocess.run(self.command("ps", "-a", "-q"), capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        if ids := listed.stdout.split():
            subprocess.run(self.command("rm", "-f", *ids), capture_output=True, check=False, timeout=TIMEOUT_S)

    def close(self) -> None:
        if (self.binary_dir / "berth").exists():
            self.remove_all()
        if self._made:
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> "Berth":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def wait_until(condition, timeout: float = 10, every: float = 0.02):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not so within {timeout} s: {condition}"
        time.sleep(every)
    return value


class Terminal:
    """A command on a pseudo-terminal of its own, as if typed by a person."""

    def __init__(self, command: list[str], rows: int = 24, columns: int = 80, env: dict | None = None):
        self.output = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env or os.environ)
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        import fcntl
        import struct
        import termios
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the last holder of the other end closed it
            return False
        self.output += data
        return bool(data)

    def expect(self, text: str, timeout: float = 15) -> str:
        """Waits until `text` has been written; gives all that was written so far and forgets it."""
        deadline = time.monotonic() + timeout
        while text.encode() not in self.output:
            assert self._read(deadline), f"{text!r} did not come; there was {self.output!r}"
        seen, self.output = self.output, b""
        return seen.decode(errors="replace")

    def wait(self, timeout: float = 15) -> int:
        """Reads to the end and gives the exit status (negative: killed by that signal)."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"still running after {timeout} s; wrote {self.output!r}")
            time.sleep(0.02)
