"""Annotations that mean something to the runtime: those of crun that its clients set. All others are handed on alone."""
import array
import os
import select
import socket

import pytest

pytestmark = pytest.mark.needs("run.oci annotations")


@pytest.fixture
def annotations(container) -> dict:
    return container.config.setdefault("annotations", {})


@pytest.mark.parametrize("stage", ["createRuntime", "createContainer", "poststart"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_of_hooks(container, annotations, tmp_path, stage, stream):
    log = tmp_path / "log"
    log.write_text("before\n")
    annotations[f"run.oci.hooks.{stream}"] = str(log)
    container.hook(stage, f"echo said by {stage}" + (" >&2" if stream == "stderr" else ""))
    container.run("true")
    assert log.read_text() == f"before\nsaid by {stage}\n"


def test_a_descriptor_of_the_process(container, annotations, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(1)
        annotations["run.oci.pidfd_receiver"] = str(tmp_path / "socket")
        container.create("true")
        connection = listener.accept()[0]
        with connection:
            _, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
    (pidfd,) = array.array("i", ancillary[0][2][:4])
    try:
        assert f"Pid:\t{container.pid}\n" in open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8").read()
        container.start()
        assert select.select([pidfd], [], [], 10)[0], "readable once the process has ended"
    finally:
        os.close(pidfd)


def test_original_groups(container, annotations):
    annotations["run.oci.keep_original_groups"] = "1"
    container.process["user"]["additionalGids"] = [50]
    groups = container.output("id", "-G", extra_groups=[4321]).split()
    assert "4321" in groups and "50" not in groups


def test_groups_are_the_configured_ones_otherwise(container):
    container.process["user"]["additionalGids"] = [50]
    groups = container.output("id", "-G", extra_groups=[4321]).split()
    assert "4321" not in groups and "50" in groups


@pytest.mark.needs("annotations checked")
@pytest.mark.parametrize("name, value", [("run.oci.hooks.stdout", "relative"), ("run.oci.systemd.subgroup", "../out"),
                                         ("run.oci.mount_context_type", "harbour")])
def test_values_that_make_no_sense(container, annotations, name, value):
    annotations[name] = value
    assert name in container.create_fails()


def test_unknown_ones_are_ignored(container, annotations):
    annotations.update({"run.oci.harbour": "x", "org.example.harbour": ""})
    container.run("true")
