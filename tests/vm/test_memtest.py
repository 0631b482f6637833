"""memtest86+, a guest that is no Linux: it sets up its own paging, finds memory and devices itself, and shows its screen on the serial
line. Its x64 binary begins at the 64-bit entry of Linux's boot protocol, its ia32 one at the 32-bit entry."""
import pathlib
import re

import machine
import pytest

RESET = 64


# 64-bit code gets to the last test, which would wait for minutes; 32-bit code takes several times as long and stops on the way.
@pytest.mark.parametrize("binary, until", [("x64", b"[Bit fade test"), ("ia32", b"[Moving inversions")])
def test_finds_no_error_in_memory(binary, until, tmp_path):
    """Escape then resets the machine."""
    kernel = pathlib.Path(f"/boot/memtest86+{binary}.bin")
    if not kernel.exists():
        pytest.skip("needs memtest86+")
    code, output = machine.converse(tmp_path, until, b"\x1b", timeout=100, kernel=kernel, memory="16M",
                                    command_line="console=ttyS0,115200 nosmp")
    assert b"Memtest86+ v" in output and until in output, output[-2000:]
    counts = re.findall(rb"Errors: +(\d+)", output)
    assert counts and set(counts) == {b"0"}, output[-2000:]
    assert code == RESET, (code, output[-500:])
