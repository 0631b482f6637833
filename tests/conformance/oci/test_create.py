"""`create`: the environment is made, the program is not run (runtime.md, Create)."""
import json
import pathlib

import pytest


def test_the_program_does_not_run_yet(container):
    container.create("sh", "-c", "echo ran; sleep 1000")
    assert container.status == "created"
    assert container.stdout.read_text() == ""
    assert pathlib.Path(f"/proc/{container.pid}").exists()


def test_the_environment_exists(container):
    container.create("true")
    for kind in ("pid", "mnt", "uts", "ipc", "net"):
        assert container.namespace_of(kind) != pathlib.Path(f"/proc/self/ns/{kind}").readlink().as_posix()


def test_pid_file(container):
    file = container.bundle / "pid"
    container.create("true", options=("--pid-file", file))
    assert file.read_text() == str(container.pid)


def test_the_bundle_is_the_working_directory(container):
    container.config["process"]["args"] = ["sh", "-c", "echo here"]
    container.save()
    container.runtime("run", container.id, cwd=container.bundle)


def test_a_used_id_is_refused(container):
    container.create("true")
    said = container.create_fails("true")
    assert "exist" in said
    assert container.status == "created", "the first container is as it was"


STRICT = pytest.mark.needs("strict ids")


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".", "..", pytest.param("white space", marks=STRICT),
                                  pytest.param("semi;colon", marks=STRICT)])
def test_bad_ids_are_refused(container, name):
    container.save()
    container.runtime.fails("create", "--bundle", container.bundle, name)
    assert not (container.runtime.directory / "escape").exists()


def test_later_changes_of_the_configuration_have_no_effect(container):
    container.create("sh", "-c", "echo first")
    container.set_args("sh", "-c", "echo second")
    container.config["hostname"] = "changed"
    container.save()
    container.start()
    assert container.wait_output("\n") == "first\n"


def test_no_configuration(container):
    said = container.runtime.fails("create", "--bundle", container.bundle, container.id)
    assert "config.json" in said


def test_no_bundle(container):
    container.runtime.fails("create", "--bundle", container.bundle / "absent", container.id)


def test_configuration_that_is_no_json(container):
    (container.bundle / "config.json").write_text('{"ociVersion": "1.0.2", ')
    container.runtime.fails("create", "--bundle", container.bundle, container.id)


@pytest.mark.parametrize("missing", [pytest.param("ociVersion", marks=pytest.mark.needs("ociVersion required")), "process", "root"])
def test_required_fields(container, missing):
    del container.config[missing]
    container.create_fails()


@pytest.mark.parametrize("missing", [pytest.param("args", marks=pytest.mark.needs("args required")), "cwd"])
def test_required_fields_of_the_process(container, missing):
    del container.process[missing]
    container.create_fails()


def test_empty_args(container):
    container.process["args"] = []
    container.create_fails()


@pytest.mark.needs("relative cwd refused")
def test_relative_cwd(container):
    container.process["cwd"] = "tmp"
    assert "cwd" in container.create_fails().lower()


@pytest.mark.needs("version checked")
@pytest.mark.parametrize("version", ["2.0.0", "0.1.0", "one", ""])
def test_versions_that_are_not_known(container, version):
    container.config["ociVersion"] = version
    said = container.create_fails()
    assert "version" in said.lower()


NEWER = pytest.mark.needs("newer versions")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.1.0", pytest.param("1.2.0", marks=NEWER),
                                     pytest.param("1.2.1", marks=NEWER)])
def test_versions_that_are_known(container, version):
    container.config["ociVersion"] = version
    container.run("true")


def test_unknown_properties_are_ignored(container):
    """config.md, Extensibility: a property that is not known does not fail."""
    container.config["harbour"] = {"depth": 12}
    container.process["pier"] = "north"
    container.linux["tide"] = [1, 2]
    container.run("true")


def test_no_root_filesystem(container):
    container.config["root"]["path"] = "absent"
    container.create_fails()


def test_absolute_root(container):
    container.config["root"]["path"] = str(container.rootfs)
    container.run("true")


def test_read_only_root(container):
    container.config["root"]["readonly"] = True
    done = container.run("sh", "-c", "touch /made", code=1)
    assert "Read-only" in done.stderr
    assert not (container.rootfs / "made").exists()


def test_writable_root(container):
    container.run("touch", "/made")
    assert (container.rootfs / "made").exists()


def test_a_failed_create_leaves_nothing(container):
    container.mount("/data", "nonsense", "nonsense")
    container.create_fails("true")
    assert not (container.runtime.state / container.id).exists()
    del container.config["mounts"][-1]
    container.run("true")


def test_a_program_that_is_not_there(container):
    said = container.run_fails("/bin/absent")
    assert "/bin/absent" in said or "absent" in said
    assert "no such file" in said.lower() or "not found" in said.lower()


def test_a_program_that_is_not_in_the_path(container):
    said = container.run_fails("absent")
    assert "executable file" in said and "not found in $PATH" in said


def test_a_program_that_is_not_executable(container):
    (container.rootfs / "bin/data").write_text("data")
    assert "permission denied" in container.run_fails("/bin/data").lower()


def test_a_program_that_is_a_directory(container):
    container.run_fails("/bin")


def test_errors_are_logged_as_json(container, tmp_path):
    """What a client reads when a command failed: one object a line, with level and msg."""
    log = tmp_path / "log.json"
    container.set_args("/bin/absent")
    container.save()
    container.runtime.fails("create", "--bundle", container.bundle, container.id, options=("--log", log, "--log-format", "json"))
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    errors = [entry for entry in entries if entry.get("level") == "error"]
    assert errors and "absent" in errors[-1]["msg"] and errors[-1]["time"], entries
