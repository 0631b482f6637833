"""`kill` (runtime.md, Kill)."""
import pytest
from berth import wait_until

TRAPS = "trap 'echo {0}; exit 0' {0}; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("written", ["USR1", "SIGUSR1", "10"])
def test_signals_by_name_and_number(container, written):
    container.started("sh", "-c", TRAPS.format("USR1"))
    container.wait_output("ready")
    container.kill(written)
    container.wait_output("USR1")


@pytest.mark.needs("lower-case signals")
def test_signals_in_lower_case(container):
    container.started("sh", "-c", TRAPS.format("USR1"))
    container.wait_output("ready")
    container.kill("usr1")
    container.wait_output("USR1")


@pytest.mark.needs("real-time signals")
def test_real_time_signals(container):
    container.started("sh", "-c", "trap 'echo rt; exit 0' 37; echo ready; while :; do sleep 0.05; done")
    container.wait_output("ready")
    container.kill("RTMIN+3")
    container.wait_output("rt")


def test_term_is_the_default(container):
    container.started("sh", "-c", TRAPS.format("TERM"))
    container.wait_output("ready")
    container.kill()
    container.wait_output("TERM")


CHECKED = pytest.mark.needs("signal names checked")


@pytest.mark.parametrize("written", [pytest.param("NONSENSE", marks=CHECKED), pytest.param("SIG", marks=CHECKED), "999", "-1"])
def test_unknown_signals(container, written):
    container.started()
    container.runtime.fails("kill", container.id, written)
    assert container.status == "running"


def test_a_created_container(container):
    container.create("true")
    container.kill("KILL")
    container.wait_stopped()


def test_a_stopped_container(container):
    container.started("true")
    container.wait_stopped()
    container.runtime.fails("kill", container.id, "TERM")


@pytest.mark.needs("container not running")
def test_the_words_that_clients_look_for(container):
    """containerd's shim takes this text for "already gone"."""
    container.started("true")
    container.wait_stopped()
    assert "container not running" in container.runtime.fails("kill", container.id, "TERM")


@pytest.mark.needs("signal 0")
def test_signal_0_asks_whether_there_is_a_process(container):
    container.started("sleep", "0.5")
    container.kill("0")
    assert container.status == "running"
    container.wait_stopped()
    container.runtime.fails("kill", container.id, "0")


def test_a_container_that_is_not_there(runtime):
    runtime.fails("kill", "absent", "KILL")


def test_all_processes(container):
    container.started("sh", "-c", "sleep 1000 & sleep 1001 & wait")
    container.runtime("kill", "--all", container.id, "KILL")
    container.wait_stopped()


@pytest.mark.needs("kill --all without a pid namespace")
def test_all_processes_without_a_pid_namespace(container):
    """Children outlive the first process here; `--all` reaches them through the control group."""
    container.drop_namespace("pid")
    container.started("sh", "-c", "sleep 1000 & sleep 1001 & wait")
    tasks = container.cgroup("pids") / "cgroup.procs"
    container.runtime("kill", "--all", container.id, "KILL")
    container.wait_stopped()
    wait_until(lambda: tasks.read_text() == "")


def test_signals_reach_the_first_process_alone(container):
    container.started("sh", "-c", "sh -c 'trap \"echo child\" USR1; echo up; while :; do sleep 0.05; done' & "
                                  "trap 'echo parent; exit 0' USR1; while :; do sleep 0.05; done")
    container.wait_output("up")
    container.kill("USR1")
    container.wait_stopped()
    assert container.stdout.read_text() == "up\nparent\n"
