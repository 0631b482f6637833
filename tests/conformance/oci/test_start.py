"""`start` and `run` (runtime.md, Start)."""
import os
import pathlib
import signal
import subprocess

import pytest


def test_start_runs_the_program(container):
    container.create("sh", "-c", "echo ran").start()
    assert container.wait_output("\n") == "ran\n"


def test_start_comes_back_at_once(container):
    container.started("sleep", "1000")
    assert container.status == "running"


def test_the_pid_stays(container):
    container.create("sleep", "1000")
    pid = container.pid
    container.start()
    assert container.pid == pid
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:2] == ["sleep", "1000"]


def test_a_running_container_is_not_started_again(container):
    container.started()
    container.runtime.fails("start", container.id)
    assert container.status == "running"


def test_a_stopped_container_is_not_started_again(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("start", container.id)
    assert container.status == "stopped"


def test_a_container_that_is_not_there(runtime):
    runtime.fails("start", "absent")


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_run_gives_the_exit_status(container, code):
    container.run("sh", "-c", f"exit {code}", code=code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_run_gives_128_and_the_signal(container, number):
    container.drop_namespace("pid")  # the kernel keeps the first process of a namespace from killing itself
    container.run("sh", "-c", f"kill -{number.value} $$", code=128 + number)


def test_run_passes_streams(container):
    done = container.run("sh", "-c", "read line; echo out $line; echo err $line >&2", stdin="hello\n")
    assert (done.stdout, done.stderr) == ("out hello\n", "err hello\n")


def test_run_leaves_nothing(container):
    container.run("true")
    container.runtime.fails("state", container.id)


def test_run_detached(container):
    file = container.bundle / "pid"
    container.run("sleep", "1000", options=("--detach", "--pid-file", file))
    assert container.status == "running"
    assert file.read_text() == str(container.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_run_passes_signals_on(container, number):
    container.set_args("sh", "-c", f"trap 'echo got; exit 7' {number.value}; echo ready; while :; do sleep 0.05; done")
    container.save()
    runner = subprocess.Popen(container.runtime.command("run", "--bundle", container.bundle, container.id), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert runner.stdout.readline() == "ready\n"
        runner.send_signal(number)
        assert runner.stdout.read() == "got\n"
        assert runner.wait(10) == 7
    finally:
        runner.kill()
        runner.wait()


def test_preserved_descriptors(container, tmp_path):
    """`--preserve-fds N` hands on the N descriptors from 3, and no other."""
    note = tmp_path / "note"
    note.write_text("handed on\n")
    container.set_args("sh", "-c", "cat <&3; ls /proc/self/fd | tr '\\n' ' '")
    container.save()
    command = container.runtime.command("run", "--preserve-fds", "1", "--bundle", container.bundle, container.id)
    done = subprocess.run(["sh", "-c", f'exec 3<{note} 4<{note} "$@"', "sh", *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["handed on", "0 1 2 3 4 "], "4 is the directory that ls reads"


@pytest.mark.needs("LISTEN_FDS told")
def test_sockets_of_systemd(container, tmp_path):
    """sd_listen_fds(3): those of LISTEN_FDS come first, if they are for this process."""
    note = tmp_path / "note"
    note.write_text("handed on\n")
    container.set_args("sh", "-c", "cat <&3; echo $LISTEN_FDS; ls /proc/self/fd | tr '\\n' ' '")
    container.save()
    command = container.runtime.command("run", "--preserve-fds", "1", "--bundle", container.bundle, container.id)
    script = f'exec 3<{note} 4<{note} 5<{note}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["handed on", "1", "0 1 2 3 4 5 "], "5 is the directory that ls reads"


def test_sockets_of_somebody_else(container):
    done = container.run("sh", "-c", "echo $LISTEN_FDS; ls /proc/self/fd | tr '\\n' ' '",
                         env={**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert done.stdout.splitlines() == ["", "0 1 2 3 "]


def test_nothing_is_inherited(container, tmp_path):
    secret = os.open(tmp_path, os.O_RDONLY)
    try:
        seen = container.output("ls", "/proc/self/fd", pass_fds=(secret,))
    finally:
        os.close(secret)
    assert seen.split() == ["0", "1", "2", "3"], "3 is the directory that ls reads"


def test_the_process_reaps_nothing_of_the_runtime(container):
    container.started()
    assert container.exec("ps", "-o", "pid,args").stdout.splitlines()[1].split() == ["1", "sleep", "1000"]
