"""The engines on ring 0: small kernels (tests/asm), which print a line a check and end with how many failed."""
import pathlib
import shutil
import subprocess

import machine
import pytest
from paths import ROOT

SOURCES = ROOT / "tests/asm"
KERNELS = sorted(path.stem for path in SOURCES.glob("*.S"))


def assemble(name: str, directory: pathlib.Path) -> pathlib.Path:
    """64-bit code too goes into a 32-bit ELF file, which is what multiboot 1 takes."""
    source = SOURCES / f"{name}.S"
    bits, emulation = ("--64", "elf_x86_64") if "long.inc" in source.read_text() else ("--32", "elf_i386")
    part, linked, kernel = (directory / f"{name}.{kind}" for kind in ("o", "linked", "elf"))
    subprocess.run(["as", bits, "-I", SOURCES, "-o", part, source], check=True)
    subprocess.run(["ld", "--no-warn-rwx-segments", "-m", emulation, "-T", SOURCES / "kernel.ld", "-o", linked, part], check=True)
    subprocess.run(["objcopy", "-O", "elf32-i386", linked, kernel], check=True)
    return kernel


@pytest.mark.parametrize("engine", ["interpreter", "soft"])
@pytest.mark.parametrize("name", KERNELS)
def test_ring_0(name, engine, tmp_path):
    if not shutil.which("as"):
        pytest.skip("needs binutils")
    ended = machine.run(tmp_path, kernel=assemble(name, tmp_path), engine=engine, memory="64M")
    said = ended.stdout.decode().splitlines()
    assert [line for line in said if line.startswith("BAD")] == [], ended
    assert (said[-1], ended.returncode) == ("PASS", 0), ended
    assert sum(line.startswith("ok ") for line in said) >= 30, said
