"""`hooks` (config.md, POSIX-platform Hooks; runtime.md, Lifecycle)."""
import json
import os
import time

import pytest

BEFORE = ("prestart", "createRuntime", "createContainer", "startContainer")
AFTER = ("poststart", "poststop")


@pytest.fixture
def trace(container):
    """Hooks append to this file; startContainer sees it too, as /trace."""
    file = container.bundle / "trace"
    file.touch()
    container.bind(file, "/trace")
    return file


def test_the_order(container, trace):
    for stage in (*BEFORE, *AFTER):
        path = "/trace" if stage == "startContainer" else trace
        container.hook(stage, f"echo {stage} >>{path}")
    container.create("sh", "-c", "echo program >>/trace")
    assert trace.read_text().split() == ["prestart", "createRuntime", "createContainer"] or \
        trace.read_text().split() == ["prestart", "createRuntime", "createContainer", "poststart"]
    container.start()
    container.wait_stopped()
    container.delete()
    words = trace.read_text().split()
    assert words[:3] == ["prestart", "createRuntime", "createContainer"]
    assert words[-1] == "poststop" and set(words) == {*BEFORE, *AFTER, "program"}
    assert words.index("startContainer") < words.index("program")


@pytest.mark.needs("poststart at start")
def test_poststart_runs_at_start(container, trace):
    container.hook("poststart", f"echo poststart >>{trace}")
    container.create("sleep", "1000")
    assert trace.read_text() == ""
    container.start()
    assert trace.read_text() == "poststart\n"


def test_several_run_in_turn(container, trace):
    for word in ("one", "two", "three"):
        container.hook("createRuntime", f"echo {word} >>{trace}")
    container.create("true")
    assert trace.read_text().split() == ["one", "two", "three"]


@pytest.mark.parametrize("stage, status", [("prestart", "creating"), ("createRuntime", "creating"), pytest.param("createContainer", "creating", marks=pytest.mark.needs("pid for createContainer")),
                                           ("poststop", "stopped")])
def test_the_state_on_the_input(container, stage, status):
    container.config["annotations"] = {"org.example.berth": "7"}
    file = container.bundle / f"state-{stage}"
    container.hook(stage, f"cat >{file}")
    container.started("true")
    container.wait_stopped()
    container.delete()
    state = json.loads(file.read_text())
    assert state["id"] == container.id and state["bundle"] == str(container.bundle) and state["ociVersion"]
    assert state["annotations"]["org.example.berth"] == "7"
    assert state["status"] in (status, "created"), "runc 1.1 says `creating`, crun `created`"
    if stage != "poststop":
        assert state["pid"] > 0


def test_the_state_of_a_running_container(container):
    file = container.bundle / "state"
    container.hook("poststart", f"cat >{file}")
    container.started()
    state = json.loads(file.read_text())
    assert state["pid"] == container.pid and state["status"] in ("running", "created")


def test_namespaces_of_the_hooks(container):
    """createRuntime is in the runtime's namespaces; createContainer in the container's."""
    for stage in ("createRuntime", "createContainer"):
        container.hook(stage, f"readlink /proc/self/ns/mnt >{container.bundle}/{stage}")
    container.create("true")
    assert (container.bundle / "createContainer").read_text().strip() == container.namespace_of("mnt")
    assert (container.bundle / "createRuntime").read_text().strip() != container.namespace_of("mnt")


def test_start_container_is_inside(container):
    """Its path is looked up in the container, whose root it sees."""
    (container.rootfs / "only-inside").write_text("#!/bin/sh\ncat >/state; hostname >/name\n")
    (container.rootfs / "only-inside").chmod(0o755)
    container.config["hooks"] = {"startContainer": [{"path": "/only-inside"}]}
    container.create("true")
    assert not (container.rootfs / "state").exists()
    container.start()
    container.wait_stopped()
    assert json.loads((container.rootfs / "state").read_text())["id"] == container.id
    assert (container.rootfs / "name").read_text() == "conformance\n"


def test_arguments_and_environment(container):
    out = container.bundle / "out"
    container.config["hooks"] = {"createRuntime": [{
        "path": "/bin/sh", "args": ["named", "-c", f'(echo "$0 $1"; /usr/bin/env) >{out}', "zero", "one two"], "env": ["A=b c", "PATH=/bin"]}]}
    container.create("true")
    lines = out.read_text().splitlines()
    assert lines[0] == "zero one two"
    assert {"A=b c", "PATH=/bin"} <= set(lines) and not any(line.startswith("HOME=") for line in lines)


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_ends_create(container, stage, trace):
    container.hook(stage, "echo the reason >&2; exit 3")
    container.hook(stage, f"echo second >>{trace}")
    container.create_fails("true")
    container.runtime.fails("state", container.id)
    assert trace.read_text() == "", "hooks after the failed one do not run"


def test_a_failing_start_hook_ends_start(container, trace):
    container.hook("startContainer", "exit 3")
    container.create("sh", "-c", "echo program >>/trace")
    container.runtime("start", container.id, code=None)
    container.wait_stopped()
    assert trace.read_text() == ""


@pytest.mark.needs("failed poststart told")
def test_a_failing_poststart_hook(container):
    """runtime.md to 1.2.0: a warning; since 1.2.1: an error, and the container is stopped. Either, but said."""
    container.hook("poststart", "exit 3")
    container.save()
    container.set_args("sleep", "1000")
    container.save()
    done = container.runtime("run", "--detach", "--bundle", container.bundle, container.id, code=None)
    assert "hook" in done.stderr or "poststart" in done.stderr
    if done.code == 0:
        assert container.status == "running"
    else:
        container.runtime.fails("exec", container.id, "true")


def test_a_failing_poststop_hook_is_a_warning(container, trace):
    container.hook("poststop", "exit 3")
    container.hook("poststop", f"echo second >>{trace}")
    container.started("true")
    container.wait_stopped()
    container.delete()
    container.runtime.fails("state", container.id)


@pytest.mark.needs("poststop hooks go on")
def test_the_poststop_hooks_after_a_failed_one_run(container, trace):
    container.hook("poststop", "exit 3")
    container.hook("poststop", f"echo second >>{trace}")
    container.started("true")
    container.wait_stopped()
    container.delete()
    assert trace.read_text() == "second\n"


def test_a_hook_that_takes_too_long(container):
    container.hook("createRuntime", "exec sleep 1000", timeout=1)
    begin = time.monotonic()
    container.create_fails("true")
    assert 0.9 < time.monotonic() - begin < 10


def test_a_hook_within_its_time(container):
    container.hook("createRuntime", "true", timeout=20)
    container.run("true")


@pytest.mark.parametrize("field, value", [pytest.param("timeout", 0, marks=pytest.mark.needs("hook timeout of 0 refused")), ("timeout", -1), ("path", "relative/path")])
def test_a_hook_that_is_wrong(container, field, value):
    """config.md: the path is absolute, the timeout greater than zero."""
    container.hook("createRuntime", "true")
    container.config["hooks"]["createRuntime"][0][field] = value
    container.create_fails()


def test_a_hook_that_is_not_there(container):
    container.config["hooks"] = {"createRuntime": [{"path": "/absent/hook"}]}
    assert "/absent/hook" in container.create_fails()


def test_create_runtime_sees_the_network_namespace(container):
    """What network plugins do: they enter the namespace of the process that the state names."""
    script = "pid=$(sed 's/.*\"pid\" *: *\\([0-9]*\\).*/\\1/' | tr -d '\\n'); nsenter -t $pid -n ip link add harbour type veth peer name pier"
    container.hook("createRuntime", f"tr -d '\\n' | ({script})", env=["PATH=" + os.environ["PATH"]])
    assert "harbour" in container.output("ls", "/sys/class/net")
