"""`process` (config.md, Process): user, environment, directory, limits, capabilities and what else a process has."""
import os
import pathlib
import re

import oci_peers
import pytest


def status_of(container, field: str) -> str:
    return container.output("grep", f"^{field}:", "/proc/self/status").split(":")[1].strip()


def test_arguments_are_exact(container):
    words = ["sh", "-c", 'for a in "$@"; do echo "<$a>"; done', "sh", "", "a b", "'", '"', "\\n", "ä", "*", "$PATH"]
    assert container.output(*words).splitlines() == [f"<{word}>" for word in words[4:]]


def test_the_environment_is_exact(container):
    container.process["env"] = ["PATH=/bin", "A=1", "B=", "C=x=y z", "D=ä"]
    assert container.output("/bin/env").splitlines()[:5] == container.process["env"]


def test_home_is_added_where_it_lacks(container):
    container.process["env"] = ["PATH=/bin"]
    container.process["user"] = {"uid": 1000, "gid": 1000}
    assert set(container.output("env").splitlines()) <= {"PATH=/bin", "HOME=/home/tester", "PWD=/", "SHLVL=0"}


def test_the_path_of_the_process_is_searched(container):
    (container.rootfs / "usr/bin/local").write_text("#!/bin/sh\necho found\n")
    (container.rootfs / "usr/bin/local").chmod(0o755)
    container.process["env"] = ["PATH=/bin:/usr/bin"]
    assert container.output("local") == "found\n"
    container.process["env"] = ["PATH=/bin"]
    container.run_fails("local")


def test_the_directory(container):
    container.process["cwd"] = "/home/tester"
    assert container.output("pwd") == "/home/tester\n"


def test_a_directory_that_is_not_there_is_made(container):
    """The runtimes that clients rely on make it."""
    container.process["cwd"] = "/some/deep/place"
    assert container.output("pwd") == "/some/deep/place\n"


def test_a_null_device_handed_on_becomes_the_containers_own(container):
    """The host's is on a mount that the container does not have: CRIU could not find it again."""
    container.started("sh", "-c", "stat -Lc %d:%i /dev/null /proc/self/fd/0 > /seen").wait_stopped()
    seen = (container.rootfs / "seen").read_text().split()
    assert len(seen) == 2 and seen[0] == seen[1]


@pytest.mark.parametrize("value", [None, 0o077, 0o002])
@pytest.mark.needs("umask")
def test_umask(container, value):
    if value is not None:
        container.process["user"]["umask"] = value
    assert int(container.shell("umask"), 8) == (0o022 if value is None else value)


def test_user_and_groups(container):
    container.process["user"] = {"uid": 1234, "gid": 56, "additionalGids": [7, 8, 900000]}
    assert status_of(container, "Uid").split() == ["1234"] * 4
    assert status_of(container, "Gid").split() == ["56"] * 4
    assert set(status_of(container, "Groups").split()) == {"7", "8", "900000"}


def test_without_further_groups_there_are_none(container):
    assert status_of(container, "Groups") == ""


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(container, value):
    container.process["noNewPrivileges"] = value
    assert status_of(container, "NoNewPrivs") == str(int(value))


@pytest.mark.parametrize("value", [0, 300, 1000])
def test_oom_score(container, value):
    container.process["oomScoreAdj"] = value
    assert container.output("cat", "/proc/self/oom_score_adj") == f"{value}\n"


def test_oom_score_stays_where_it_is_not_named(container):
    assert container.output("cat", "/proc/self/oom_score_adj") == pathlib.Path("/proc/self/oom_score_adj").read_text()


@pytest.mark.needs("limits clamped")
@pytest.mark.skipif(oci_peers.has_capability(24), reason="this root may lower it")
def test_an_oom_score_that_may_not_be_had(container):
    """Without CAP_SYS_RESOURCE the kernel refuses to lower it: the container runs, and the log says so."""
    container.process["oomScoreAdj"] = -500
    done = container.run("cat", "/proc/self/oom_score_adj")
    assert int(done.stdout) >= 0 and "oom" in done.stderr.lower()


LIMITS = {"RLIMIT_NOFILE": ("Max open files", 100, 200), "RLIMIT_FSIZE": ("Max file size", 4096, 8192),
          "RLIMIT_NPROC": ("Max processes", 50, 60), "RLIMIT_STACK": ("Max stack size", 1 << 20, 2 << 20),
          "RLIMIT_AS": ("Max address space", 1 << 30, 1 << 31), "RLIMIT_CPU": ("Max cpu time", 10, 20),
          "RLIMIT_MEMLOCK": ("Max locked memory", 4096, 8192), "RLIMIT_MSGQUEUE": ("Max msgqueue size", 100, 200),
          "RLIMIT_SIGPENDING": ("Max pending signals", 10, 20), "RLIMIT_RTPRIO": ("Max realtime priority", 0, 0)}


@pytest.mark.parametrize("kind", LIMITS)
def test_limits(container, kind):
    name, soft, hard = LIMITS[kind]
    container.process["rlimits"] = [{"type": kind, "soft": soft, "hard": hard}]
    found = re.search(rf"{name}\s+(\d+)\s+(\d+)", container.output("cat", "/proc/self/limits"))
    assert found and (int(found[1]), int(found[2])) == (soft, hard)


def test_an_unknown_limit(container):
    container.process["rlimits"] = [{"type": "RLIMIT_HARBOUR", "soft": 1, "hard": 1}]
    assert "RLIMIT_HARBOUR" in container.create_fails()


@pytest.mark.needs("double limits refused")
def test_a_limit_may_be_listed_once(container):
    """config.md: an error on duplicate types."""
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": n, "hard": n} for n in (10, 20)]
    container.create_fails()


def test_a_soft_limit_above_the_hard_one(container):
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]
    container.create_fails()


@pytest.mark.needs("limits clamped")
@pytest.mark.skipif(oci_peers.has_capability(24), reason="this root may raise limits")
def test_a_limit_that_may_not_be_had(container):
    """podman asks for these by default; without CAP_SYS_RESOURCE the highest that may be had is taken."""
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1 << 20, "hard": 1 << 20}]
    done = container.run("cat", "/proc/self/limits")
    assert re.search(r"Max open files\s+\d+", done.stdout)


# Capabilities: numbers of capability.h.
CHOWN, KILL, NET_BIND = 1 << 0, 1 << 5, 1 << 10
SETS = {"CapBnd": "bounding", "CapPrm": "permitted", "CapEff": "effective", "CapInh": "inheritable", "CapAmb": "ambient"}


def capabilities(container) -> dict[str, int]:
    seen = container.output("grep", "^Cap", "/proc/self/status")
    return {name: int(value, 16) for name, value in re.findall(r"(Cap\w+):\s+(\w+)", seen)}


def test_capabilities_of_root(container):
    container.process["capabilities"] = {name: ["CAP_CHOWN", "CAP_KILL"] for name in ("bounding", "effective", "permitted")}
    seen = capabilities(container)
    assert (seen["CapBnd"], seen["CapPrm"], seen["CapEff"], seen["CapAmb"]) == (CHOWN | KILL, CHOWN | KILL, CHOWN | KILL, 0)


def test_the_bounding_set_of_a_user(container):
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.process["capabilities"] = {"bounding": ["CAP_CHOWN"], "effective": [], "permitted": []}
    seen = capabilities(container)
    assert (seen["CapBnd"], seen["CapPrm"], seen["CapEff"]) == (CHOWN, 0, 0)


def test_ambient_capabilities_reach_a_user(container):
    names = ["CAP_NET_BIND_SERVICE"]
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.process["capabilities"] = {kind: names for kind in SETS.values()}
    assert set(capabilities(container).values()) == {NET_BIND}


def test_none(container):
    container.process["capabilities"] = {kind: [] for kind in SETS.values()}
    assert set(capabilities(container).values()) == {0}


def test_no_capabilities_object_at_all(container):
    del container.process["capabilities"]
    container.run("true")


def test_what_a_capability_allows(container):
    container.process["capabilities"] = {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")}
    assert "not permitted" in container.run("chown", "1000", "/etc/passwd", code=1).stderr


@pytest.mark.needs("unknown capabilities warned of")
def test_an_unknown_capability(container):
    """config.md: what the kernel does not know is a warning, not an error."""
    container.process["capabilities"] = {name: ["CAP_CHOWN", "CAP_HARBOUR"] for name in ("bounding", "effective", "permitted")}
    done = container.run("true")
    assert "CAP_HARBOUR" in done.stderr


@pytest.mark.parametrize("policy, number", [("SCHED_OTHER", 0), ("SCHED_BATCH", 3), ("SCHED_IDLE", 5)])
@pytest.mark.needs("scheduler")
def test_scheduler(container, policy, number):
    container.process["scheduler"] = {"policy": policy}
    assert container.output("cat", "/proc/self/sched").split("policy")[1].split()[1] == str(number)


@pytest.mark.needs("scheduler")
def test_nice(container):
    container.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": 7}
    assert container.output("cat", "/proc/self/stat").rpartition(")")[2].split()[16] == "7"


@pytest.mark.needs("scheduler")
def test_an_unknown_scheduler(container):
    container.process["scheduler"] = {"policy": "SCHED_HARBOUR"}
    container.create_fails()


@pytest.mark.parametrize("kind, expected", [("IOPRIO_CLASS_BE", "best-effort: prio 3"), ("IOPRIO_CLASS_IDLE", "idle")])
@pytest.mark.needs("ioPriority")
def test_io_priority(container, kind, expected):
    container.process["ioPriority"] = {"class": kind, "priority": 3}
    assert container.output("ionice", "-p", "1").startswith(expected)


@pytest.mark.needs("execCPUAffinity")
def test_affinity_of_exec(container):
    """config.md, execCPUAffinity: `final` holds once the process is in the container."""
    container.started()
    done = container.exec_process({"args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "execCPUAffinity": {"initial": "0", "final": "0"}})
    assert done.stdout.split()[1] == "0"


@pytest.mark.needs("execCPUAffinity")
def test_affinity_is_not_for_the_first_process(container):
    container.process["execCPUAffinity"] = {"initial": "0", "final": "0"}
    mask = container.output("grep", "Cpus_allowed:", "/proc/self/status").split()[1].replace(",", "")
    assert int(mask, 16) == sum(1 << number for number in os.sched_getaffinity(0))


@pytest.mark.parametrize("domain, machine", [("LINUX", os.uname().machine), ("LINUX32", "i686")])
@pytest.mark.needs("personality")
def test_personality(container, domain, machine):
    container.linux["personality"] = {"domain": domain}
    assert container.output("uname", "-m") == f"{machine}\n"


@pytest.mark.needs("personality")
def test_an_unknown_personality(container):
    container.linux["personality"] = {"domain": "HARBOUR"}
    container.create_fails()


@pytest.mark.parametrize("field, value", [("apparmorProfile", "harbour"), ("selinuxLabel", "system_u:system_r:svirt_lxc_net_t:s0")])
@pytest.mark.skipif(pathlib.Path("/sys/module/apparmor").exists(), reason="this kernel may have the security module")
def test_labels_that_this_kernel_cannot_keep(container, field, value):
    container.process[field] = value
    container.create_fails()


def test_signals_are_as_ever(container):
    """What the runtime blocks or ignores is not handed on, nor what it was started with: posix_spawn leaves the C library's own two
    signals, 32 and 33, ignored."""
    assert int(status_of(container, "SigBlk"), 16) == 0
    assert int(status_of(container, "SigIgn"), 16) == 0


def test_the_first_process_is_the_parent_of_none_of_ours(container):
    assert status_of(container, "PPid") == "0"


def test_a_session_of_its_own(container):
    words = container.output("cat", "/proc/self/stat").rpartition(")")[2].split()
    assert words[2:4] == ["1", "1"], "process group and session"
