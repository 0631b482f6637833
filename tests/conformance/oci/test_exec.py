"""`exec`: a further process in a running container."""
import json
import os
import pathlib
import re
import subprocess

import oci
import pytest
from berth import wait_until


def test_streams_and_exit_status(container):
    container.started()
    done = container.exec("sh", "-c", "read line; echo out $line; echo err >&2; exit 7", code=7, stdin="hello\n")
    assert (done.stdout, done.stderr) == ("out hello\n", "err\n")


def test_it_shares_all_namespaces(container):
    container.started()
    names = ("pid", "mnt", "uts", "ipc", "net", "cgroup", "user")
    script = f"for kind in {' '.join(names)}; do readlink /proc/self/ns/$kind; done"
    seen = container.exec("sh", "-c", script).stdout.split()
    assert seen == [container.namespace_of(name) for name in names]


def test_it_shares_all_control_groups(container):
    container.started()
    container.exec("sleep", "999", options=("--detach",))
    pids = json.loads(container.runtime("ps", "--format", "json", container.id).stdout)
    groups = {pathlib.Path(f"/proc/{pid}/cgroup").read_text() for pid in pids}
    assert len(pids) == 2 and len(groups) == 1


@pytest.mark.needs("exec --env adds")
def test_environment_and_directory(container):
    container.process["env"].append("BASE=1")
    container.process["cwd"] = "/tmp"
    container.started()
    seen = container.exec("sh", "-c", "echo $BASE $MORE; pwd", options=("--env", "MORE=2")).stdout
    assert seen == "1 2\n/tmp\n"
    assert container.exec("pwd", options=("--cwd", "/home")).stdout == "/home\n"


def test_users(container):
    container.started()
    assert container.exec("id", "-u").stdout == "0\n"
    assert container.exec("sh", "-c", "id -u; id -g", options=("--user", "1000:50")).stdout == "1000\n50\n"
    assert container.exec("id", "-u", options=("--user", "1234")).stdout == "1234\n"


@pytest.mark.needs("exec --additional-gids")
def test_further_groups(container):
    container.started()
    words = ("--user", "1000:1000", "--additional-gids", "50", "--additional-gids", "60")
    assert container.exec("id", "-G", options=words).stdout.split() == ["1000", "50", "60"]


def test_capabilities(container):
    """By default those of the container; `--cap` adds."""
    container.process["capabilities"] = {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")}
    container.started()
    script = "grep CapEff /proc/self/status"
    assert int(container.exec("sh", "-c", script).stdout.split()[1], 16) == 1 << 5
    assert int(container.exec("sh", "-c", script, options=("--cap", "CAP_CHOWN")).stdout.split()[1], 16) & 1


def test_no_new_privileges(container):
    container.process["noNewPrivileges"] = False
    container.started()
    script = "grep NoNewPrivs /proc/self/status"
    assert container.exec("sh", "-c", script).stdout.split()[1] == "0"
    assert container.exec("sh", "-c", script, options=("--no-new-privs",)).stdout.split()[1] == "1"


@pytest.mark.needs("exec keeps noNewPrivileges")
def test_no_new_privileges_of_the_container(container):
    container.started()
    assert container.exec("grep", "NoNewPrivs", "/proc/self/status").stdout.split()[1] == "1"


def test_a_process_document(container):
    container.started()
    done = container.exec_process({"args": ["sh", "-c", "id -u; pwd; echo $A; ulimit -c; exit 3"], "user": {"uid": 1000, "gid": 1000},
                                   "cwd": "/home", "env": ["PATH=/bin", "A=b"],
                                   "rlimits": [{"type": "RLIMIT_CORE", "soft": 51200, "hard": 102400}]}, code=3)
    assert done.stdout.split() == ["1000", "/home", "b", "100"]


def test_a_process_document_has_its_own_capabilities(container):
    container.started()
    done = container.exec_process({"args": ["grep", "Cap", "/proc/self/status"],
                                   "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}})
    values = dict(re.findall(r"(Cap\w+):\s+(\w+)", done.stdout))
    assert [int(values[name], 16) for name in ("CapBnd", "CapEff", "CapPrm")] == [1, 1, 1]


def test_a_process_document_that_is_wrong(container):
    container.started()
    file = container.bundle / "process.json"
    file.write_text('{"args": ["true"]')
    container.runtime.fails("exec", "--process", file, container.id)
    container.runtime.fails("exec", "--process", container.bundle / "absent", container.id)


def test_detached_with_a_pid_file(container):
    container.started()
    file = container.bundle / "pid"
    container.exec("sleep", "998", options=("--detach", "--pid-file", file))
    words = pathlib.Path(f"/proc/{file.read_text()}/cmdline")
    wait_until(lambda: words.read_text().split("\0")[:2] == ["sleep", "998"])


def test_its_children_belong_to_the_container(container):
    container.started()
    container.exec("sh", "-c", "sleep 997 & exit 0", options=("--detach",))
    wait_until(lambda: "997" in container.exec("ps", "-o", "args").stdout)


def test_a_program_that_is_not_there(container):
    container.started()
    said = container.runtime.fails("exec", container.id, "absent")
    assert "executable file" in said and "not found in $PATH" in said
    assert "no such file" in container.runtime.fails("exec", container.id, "/bin/absent").lower()


def test_a_program_that_is_not_executable(container):
    (container.rootfs / "bin/data").write_text("data")
    container.started()
    assert "permission denied" in container.runtime.fails("exec", container.id, "/bin/data").lower()


def test_a_directory_that_is_not_there(container):
    container.started()
    container.runtime.fails("exec", "--cwd", "/absent", container.id, "true")


def test_a_stopped_container(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("exec", container.id, "true")


def test_a_container_that_is_not_there(runtime):
    runtime.fails("exec", "absent", "true")


def test_a_created_container(container):
    container.create("sleep", "1000")
    assert container.exec("echo", "inside").stdout == "inside\n"
    assert container.status == "created"


@pytest.mark.needs("exec in a paused container refused")
def test_a_paused_container(container):
    container.started()
    container.runtime("pause", container.id)
    assert "paused" in container.runtime.fails("exec", container.id, "true")
    container.runtime("resume", container.id)
    container.exec("true")


def test_the_exit_status_of_a_killed_process(container):
    container.started()
    container.exec("sh", "-c", "kill -9 $$", code=137)


def test_preserved_descriptors(container, tmp_path):
    note = tmp_path / "note"
    note.write_text("handed on\n")
    container.started()
    command = container.runtime.command("exec", "--preserve-fds", "1", container.id, "sh", "-c", "cat <&3")
    done = subprocess.run(["sh", "-c", f'exec 3<{note} "$@"', "sh", *command], capture_output=True, text=True, check=True)
    assert done.stdout == "handed on\n"


def test_nothing_of_the_runtime_is_inherited(container):
    container.started()
    secret = os.open("/etc", os.O_RDONLY)
    try:
        seen = container.exec("ls", "/proc/self/fd", pass_fds=(secret,)).stdout
    finally:
        os.close(secret)
    assert seen.split() == ["0", "1", "2", "3"]


def test_the_system_call_filter_holds(container):
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                  "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    container.started()
    assert "not permitted" in container.exec("mkdir", "/made", code=1).stderr


@pytest.mark.needs("exec --cgroup")
def test_a_sub_group(container):
    container.started()
    (container.cgroup("pids") / "inner").mkdir()
    container.exec("sleep", "996", options=("--detach", "--cgroup", oci.sub_group("inner")))
    assert (container.cgroup("pids") / "inner/cgroup.procs").read_text().strip()


@pytest.mark.needs("exec --cgroup")
def test_a_sub_group_outside_the_container(container):
    container.started()
    container.runtime.fails("exec", "--cgroup", oci.sub_group("../.."), container.id, "true")


def test_many_at_once(container):
    from concurrent.futures import ThreadPoolExecutor
    container.started()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: container.exec("sh", "-c", f"echo {n}; exit {n}", code=n).stdout, range(16)))
    assert done == [f"{n}\n" for n in range(16)]
