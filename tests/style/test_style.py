"""The sources keep to STYLE.md."""
import pathlib
import subprocess

import checks
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for pattern in ("*.cpp", "*.hpp")
                 for path in (ROOT / "src").rglob(pattern))


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def assert_none(violations) -> None:
    assert not violations, "\n" + "\n".join(str(violation) for violation in violations)


@pytest.mark.parametrize("check", checks.FILE_CHECKS, ids=lambda check: check.__name__)
def test_sources(check):
    assert len(SOURCES) > 10, "no sources found"
    assert_none([violation for path in SOURCES for violation in check(path, text_of(path))])


def test_file_pairs():
    assert_none(checks.check_pairs(set(SOURCES)))


def test_each_room_has_a_readme():
    rooms = {checks.room_of(path) for path in SOURCES}
    missing = [room for room in sorted(rooms) if not (ROOT / "src" / room / "README.md").exists()]
    assert not missing, f"rooms without README.md: {missing}"


def test_each_room_is_in_the_architecture():
    text = text_of("ARCHITECTURE.md")
    missing = [room for room in sorted({checks.room_of(path) for path in SOURCES}) if f"`{room}" not in text]
    assert not missing, f"rooms that ARCHITECTURE.md does not tell of: {missing}"


def test_clang_format():
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *SOURCES], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    complaints = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "clang-format-violations" in line})
    assert done.returncode == 0, f"run `make format`: {complaints or done.stderr}"
