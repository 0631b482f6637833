"""`linux.seccomp` (config-linux.md, Seccomp): every action, operator and flag, seen from the program."""
import errno
import os
import pathlib
import platform
import re

import pytest

ARCHITECTURE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
EQ, NE, LT, LE, GE, GT, MASKED = (f"SCMP_CMP_{name}" for name in ("EQ", "NE", "LT", "LE", "GE", "GT", "MASKED_EQ"))


def allow_but(container, *rules, **more) -> None:
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [ARCHITECTURE], "syscalls": list(rules), **more}


def rule(names, action: str, **more) -> dict:
    return {"names": names if isinstance(names, list) else [names], "action": action, **more}


MKDIR = ["mkdir", "mkdirat"]


def said(number: int) -> str:
    return os.strerror(number)


def test_without_a_filter(container):
    assert container.output("grep", "^Seccomp:", "/proc/self/status").split()[1] == "0"


def test_with_a_filter(container):
    allow_but(container)
    assert container.output("grep", "^Seccomp:", "/proc/self/status").split()[1] == "2"


def test_an_error_is_eperm_by_default(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"))
    assert said(errno.EPERM) in container.run("mkdir", "/made", code=1).stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSYS, errno.EBUSY])
def test_an_error_of_choice(container, number):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO", errnoRet=number))
    done = container.run("mkdir", "/made", code=1)
    assert said(number) in done.stderr or "Function not implemented" in done.stderr


def test_a_default_error(container):
    """Every call of the kernel's list is allowed, except those that make a directory."""
    header = pathlib.Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h").read_text(encoding="utf-8")
    names = set(re.findall(r"#define __NR_(\w+)", header)) - set(MKDIR)
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EXFULL, "architectures": [ARCHITECTURE],
                                  "syscalls": [rule(sorted(names), "SCMP_ACT_ALLOW")]}
    assert said(errno.EXFULL) in container.run("mkdir", "/made", code=1).stderr


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL", "SCMP_ACT_TRAP"])
def test_deadly_actions(container, action):
    allow_but(container, rule(MKDIR, action))
    container.run("mkdir", "/made", code=128 + 31)
    assert not (container.rootfs / "made").exists()


@pytest.mark.parametrize("action", ["SCMP_ACT_LOG", "SCMP_ACT_ALLOW"])
def test_harmless_actions(container, action):
    allow_but(container, rule(MKDIR, action))
    container.run("mkdir", "/made")
    assert (container.rootfs / "made").exists()


def test_trace_without_a_tracer(container):
    """The kernel gives ENOSYS where nobody traces."""
    allow_but(container, rule(MKDIR, "SCMP_ACT_TRACE", errnoRet=7))
    assert "not implemented" in container.run("mkdir", "/made", code=1).stderr


def test_an_unknown_action(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_HARBOUR"))
    container.create_fails()


def test_an_unknown_default_action(container):
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_HARBOUR"}
    container.create_fails()


def test_an_unknown_architecture(container):
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_HARBOUR"], "syscalls": [rule(MKDIR, "SCMP_ACT_KILL")]}
    container.create_fails()


def test_system_calls_that_this_kernel_does_not_know_are_passed_over(container):
    """One profile serves many kernels and architectures."""
    allow_but(container, rule(["harbour", *MKDIR], "SCMP_ACT_ERRNO"))
    assert said(errno.EPERM) in container.run("mkdir", "/made", code=1).stderr


# busybox's chmod calls chmod(path, mode) or fchmodat(dirfd, path, mode, ...).
MODE = 0o600


def mode_rule(container, operator: str, value: int, value_two: int = 0) -> None:
    argument = {"value": value, "op": operator, **({"valueTwo": value_two} if operator == MASKED else {})}
    allow_but(container, rule(["chmod"], "SCMP_ACT_ERRNO", args=[{"index": 1, **argument}]),
              rule(["fchmodat"], "SCMP_ACT_ERRNO", args=[{"index": 2, **argument}]))


@pytest.mark.parametrize("operator, value, refused", [
    (EQ, MODE, True), (EQ, MODE + 1, False), (NE, MODE + 1, True), (NE, MODE, False), (LT, MODE + 1, True), (LT, MODE, False),
    (LE, MODE, True), (LE, MODE - 1, False), (GE, MODE, True), (GE, MODE + 1, False), (GT, MODE - 1, True), (GT, MODE, False)])
def test_operators(container, operator, value, refused):
    mode_rule(container, operator, value)
    container.run("chmod", f"{MODE:o}", "/etc/group", code=1 if refused else 0)


@pytest.mark.parametrize("mask, value, refused", [(0o700, 0o600, True), (0o700, 0o700, False), (0o77, 0, True), (0o77, 1, False)])
def test_masks(container, mask, value, refused):
    """SCMP_CMP_MASKED_EQ: `value` is the mask, `valueTwo` what must be left."""
    mode_rule(container, MASKED, mask, value)
    container.run("chmod", f"{MODE:o}", "/etc/group", code=1 if refused else 0)


def test_an_unknown_operator(container):
    mode_rule(container, "SCMP_CMP_HARBOUR", 1)
    container.create_fails()


@pytest.mark.needs("argument index checked")
def test_an_argument_that_there_is_not(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO", args=[{"index": 6, "value": 0, "op": EQ}]))
    container.create_fails()


def test_all_arguments_of_a_rule_must_hold(container):
    never = {"index": 0, "value": 1, "op": EQ}
    allow_but(container, rule("chmod", "SCMP_ACT_ERRNO", args=[{"index": 1, "value": MODE, "op": EQ}, never]),
              rule("fchmodat", "SCMP_ACT_ERRNO", args=[{"index": 2, "value": MODE, "op": EQ}, never]))
    container.run("chmod", f"{MODE:o}", "/etc/group")


@pytest.mark.parametrize("flag", ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
def test_flags(container, flag):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"), flags=[flag])
    container.run("mkdir", "/made", code=1)


@pytest.mark.needs("seccomp thread flag")
def test_the_flag_of_threads(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"), flags=["SECCOMP_FILTER_FLAG_TSYNC"])
    container.run("mkdir", "/made", code=1)


@pytest.mark.needs("unknown seccomp flags refused")
def test_an_unknown_flag(container):
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"), flags=["SECCOMP_FILTER_FLAG_HARBOUR"])
    container.create_fails()


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_with_and_without_new_privileges(container, no_new_privileges):
    container.process["noNewPrivileges"] = no_new_privileges
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"))
    container.run("mkdir", "/made", code=1)


def test_as_an_ordinary_user(container):
    container.process["user"] = {"uid": 1000, "gid": 1000}
    allow_but(container, rule(MKDIR, "SCMP_ACT_ERRNO"))
    assert said(errno.EPERM) in container.run("mkdir", "/tmp/made", code=1).stderr


def test_a_big_filter(container):
    """Hundreds of rules, as clients send them."""
    rules = [rule("ioctl", "SCMP_ACT_ERRNO", args=[{"index": 1, "value": 0x10000 + n, "op": EQ}]) for n in range(400)]
    allow_but(container, *rules, rule(MKDIR, "SCMP_ACT_ERRNO"))
    container.run("mkdir", "/made", code=1)
