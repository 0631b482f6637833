"""What a set of berth commands left behind: mounts, control groups, processes, rows and directories."""
import pathlib
import sqlite3
import time
from dataclasses import dataclass, field

CGROUPS = pathlib.Path("/sys/fs/cgroup")


@dataclass
class Snapshot:
    mounts: set = field(default_factory=set)
    cgroups: set = field(default_factory=set)
    processes: set = field(default_factory=set)

    def minus(self, other: "Snapshot") -> "Snapshot":
        return Snapshot(self.mounts - other.mounts, self.cgroups - other.cgroups, self.processes - other.processes)

    def __bool__(self) -> bool:
        return bool(self.mounts or self.cgroups or self.processes)


def mounts_of(root: pathlib.Path) -> set:
    lines = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {line.split()[4] for line in lines if str(root) in line}


def cgroups() -> set:
    """Every unit's group, in each hierarchy. The kernel lists no empty directory twice, so names are enough."""
    found = set()
    for parent in [*CGROUPS.glob("berth"), *CGROUPS.glob("*/berth"), *CGROUPS.glob("*/*/berth")]:
        try:
            found |= {str(child) for child in parent.iterdir() if child.is_dir()}
        except FileNotFoundError:
            pass
    return found


def processes_of(root: pathlib.Path) -> set:
    """Processes that name this root on their command line, or have a file open or their directory below it."""
    found = set()
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if str(root) in words and any("berth" in word for word in words[:1]):
                found.add((int(process.name), " ".join(words)))
        except OSError:
            continue
    return found


def snapshot(root: pathlib.Path) -> Snapshot:
    return Snapshot(mounts_of(root), cgroups(), processes_of(root))


def rows_of(root: pathlib.Path) -> list:
    database = root / "berth.db"
    if not database.exists():
        return []
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return list(connection.execute("SELECT id, name FROM instances")) if "instances" in tables else []
    finally:
        connection.close()


class LeakCheck:
    """Remembers how things were; `assert_none` demands that they are so again, soon."""

    def __init__(self, root: pathlib.Path):
        self.root = pathlib.Path(root)
        self.before = snapshot(self.root)
        self.entries_before = set(self._entries())

    def leaked(self) -> list[str]:
        extra = snapshot(self.root).minus(self.before)
        found = [f"mount {mount}" for mount in extra.mounts] + [f"cgroup {path}" for path in self._own(extra.cgroups)]
        found += [f"process {pid}: {words}" for pid, words in extra.processes]
        return found + [entry for entry in self._entries() if entry not in self.entries_before]

    def _entries(self) -> list[str]:
        """What the root says of its instances."""
        instances = self.root / "instances"
        directories = instances.iterdir() if instances.is_dir() else []
        return [f"row {row}" for row in rows_of(self.root)] + [f"directory {path}" for path in directories]

    def _own(self, paths: set) -> list:
        """Of all units' groups those whose instance this root's database has known (other roots may be busy)."""
        database = self.root / "berth.db"
        known = b"".join(path.read_bytes() for path in self.root.glob("berth.db*")) if database.exists() else b""
        return sorted(path for path in paths if pathlib.Path(path).name.encode() in known)

    def assert_none(self, timeout: float = 5) -> None:
        deadline = time.monotonic() + timeout
        while (found := self.leaked()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not found, "left behind:\n" + "\n".join(found)
