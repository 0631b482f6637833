"""Each way in which a machine ends is told apart, on kernels of a few bytes."""
import machine
import pytest

ENDS = {
    # mov al, 42; out 0xf4, al
    "debug exit": (b"\xb0\x2a\xe6\xf4", 42, "the guest exited with 0x2a"),
    # mov al, 0xfe; out 0x64, al
    "keyboard reset": (b"\xb0\xfe\xe6\x64", 64, "the guest reset itself"),
    # mov dx, 0xcf9; mov al, 6; out dx, al
    "reset register": (b"\x66\xba\xf9\x0c\xb0\x06\xee", 64, "the guest reset itself"),
    # lidt [0x100080], which is no table; int3
    "triple fault": (b"\x0f\x01\x1d\x80\x00\x10\x00\xcc", 65, "the guest's processor 0 triple-faulted"),
    # mov dx, 0x505; mov al, 1; out dx, al
    "panic": (b"\x66\xba\x05\x05\xb0\x01\xee", 66, "the guest's kernel panicked"),
    # mov dx, 0x604; mov ax, 0x3400; out dx, ax
    "power off": (b"\x66\xba\x04\x06\x66\xb8\x00\x34\x66\xef", 0, "the guest powered off"),
}
SPIN = b"\xeb\xfe"


@pytest.mark.parametrize("name", ENDS)
def test_each_end_has_its_code_and_message(name, tmp_path):
    code, status, message = ENDS[name]
    kernel = machine.multiboot((code + SPIN).ljust(256, b"\0"), tmp_path / "kernel")
    ended = machine.run(tmp_path, kernel=kernel)
    assert (ended.returncode, message in ended.stderr.decode()) == (status, True), ended


def test_the_serial_port_is_standard_output_and_input(tmp_path):
    # mov dx, 0x3fd; wait: in al, dx; test al, 1; jz wait; mov dx, 0x3f8; in al, dx; inc al; out dx, al; exit with it
    echo = b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xfb\x66\xba\xf8\x03\xec\xfe\xc0\xee\xe6\xf4" + SPIN
    ended = machine.run(tmp_path, kernel=machine.multiboot(echo, tmp_path / "kernel"), stdin=b"A")
    assert (ended.stdout, ended.returncode) == (b"B", ord("B"))


def test_the_command_line_reaches_a_kernel(tmp_path):
    # mov esi, [ebx + 16]; mov al, [esi + 2]; out 0xf4, al
    code = b"\x8b\x73\x10\x8a\x46\x02\xe6\xf4" + SPIN
    ended = machine.run(tmp_path, kernel=machine.multiboot(code, tmp_path / "kernel"), command_line="abcd")
    assert ended.returncode == ord("c")


@pytest.mark.parametrize("change, words", [
    ({"kernel": "/no/such/kernel"}, "/no/such/kernel: No such file"),
    ({"kernel": "/etc/hostname"}, "neither a bzImage nor an ELF"),
    ({"vcpus": 9}, "machine.vcpus: expected 1 to 8"),
    ({"memory": "1M"}, "a multiple of 2 MiB"),
    ({"disks": [{"path": "/no/such/disk"}]}, "/no/such/disk"),
])
def test_the_monitors_own_failures_are_125_and_say_why(change, words, tmp_path):
    kernel = machine.multiboot(SPIN, tmp_path / "kernel")
    ended = machine.run(tmp_path, **{"kernel": kernel, **change})
    assert (ended.returncode, words in ended.stderr.decode()) == (125, True), ended.stderr
