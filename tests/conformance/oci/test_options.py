"""Global options and the words around commands."""
import json
import pathlib

import pytest


def test_version(runtime):
    lines = runtime("--version").stdout.splitlines()
    assert lines[0].startswith(f"{runtime.name} version ")
    assert any(line.startswith("spec: 1.") for line in lines[1:])


def test_version_in_short(runtime):
    assert "version" in runtime("-v").stdout


def test_help(runtime):
    said = runtime("--help").stdout
    for command in ("create", "start", "state", "kill", "delete", "exec", "run", "list", "ps", "pause", "resume", "update", "spec"):
        assert command in said


@pytest.mark.parametrize("command", ["create", "start", "state", "kill", "delete", "exec", "run", "list", "ps", "pause", "resume", "update",
                                     "spec"])
def test_help_of_each_command(runtime, command):
    said = runtime(command, "--help").stdout
    assert "usage" in said.lower() and command in said


def test_unknown_command(runtime):
    runtime.fails("sail")


def test_unknown_option(runtime):
    runtime.fails("list", "--sail")


@pytest.mark.parametrize("command", ["create", "start", "state", "kill", "delete", "exec", "run", "ps", "pause", "resume", "update"])
def test_the_id_is_required(runtime, command):
    runtime.fails(command)


def test_roots_are_apart(container, tmp_path):
    container.create("true")
    container.runtime.fails("state", container.id, options=("--root", tmp_path / "other"))
    assert container.status == "created"


def test_log_as_text(container, tmp_path):
    log = tmp_path / "log"
    container.runtime.fails("state", "absent", options=("--log", log))
    assert log.read_text().strip()


def test_log_as_json(container, tmp_path):
    log = tmp_path / "log"
    container.runtime.fails("state", "absent", options=("--log", log, "--log-format", "json"))
    entry = json.loads(log.read_text().splitlines()[-1])
    assert entry["level"] == "error" and entry["msg"]


def test_logs_are_appended_to(container, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    container.runtime.fails("state", "absent", options=("--log", log))
    assert log.read_text().startswith("before\n") and len(log.read_text()) > 7


def test_unknown_log_format(runtime):
    runtime.fails("list", options=("--log-format", "sail"))


def test_debug(container, tmp_path):
    log = tmp_path / "log"
    container.set_args("true")
    container.save()
    container.runtime("run", "--bundle", container.bundle, container.id, options=("--debug", "--log", log))


@pytest.mark.parametrize("option", ["--no-pivot", "--no-new-keyring"])
def test_options_of_create(container, option):
    assert container.run("echo", "works", options=(option,)).stdout == "works\n"


@pytest.mark.parametrize("value", ["true", "false", "auto"])
def test_rootless(container, value):
    container.set_args("true")
    container.save()
    container.runtime("run", "--bundle", container.bundle, container.id, options=("--rootless", value))


@pytest.mark.skipif(pathlib.Path("/run/systemd/private").exists(), reason="a systemd runs here")
@pytest.mark.parametrize("words", [("--systemd-cgroup",), ("--cgroup-manager", "systemd")])
def test_a_systemd_that_is_not_there(container, words):
    if container.runtime.name != "berth-oci" and words[0] != ("--cgroup-manager" if container.runtime.name == "crun" else "--systemd-cgroup"):
        pytest.skip("the peers know one of the two words each")
    container.linux["cgroupsPath"] = f"system.slice:conf:{container.id}"
    said = container.create_fails(options=words)
    assert "systemd" in said or "sd-bus" in said


def test_an_unknown_manager(container):
    if container.runtime.name != "berth-oci":
        pytest.skip("runc has no such option, crun takes any word")
    assert "harbour" in container.create_fails(options=("--cgroup-manager", "harbour"))
