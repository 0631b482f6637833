"""`checkpoint` and `restore`, as far as they go where CRIU does not; tests/conformance/test_criu.py has the whole way, on a kernel that
CRIU knows."""
import pytest


@pytest.fixture
def images(tmp_path):
    return tmp_path / "images"


def failing_criu(container, answer: bytes = b""):
    """Stands for a CRIU that gives up: no real one can be made to at will."""
    program = container.bundle / "criu"
    program.write_text(f"""#!/usr/bin/python3
import socket, sys
assert sys.argv[1] == "swrk"
peer = socket.socket(fileno=int(sys.argv[2]))
assert peer.recv(65536)
peer.send({answer!r}) if {answer!r} else sys.exit(1)
""")
    program.chmod(0o755)
    return "--criu", program


@pytest.mark.needs("criu is named")
def test_a_criu_that_is_not_there(container, images):
    container.started()
    said = container.runtime.fails("checkpoint", "--image-path", images, container.id, options=("--criu", "/absent/criu"))
    assert "/absent/criu" in said and "install" in said
    assert container.status == "running"


@pytest.mark.needs("criu is named")
def test_a_criu_that_fails(container, images):
    """What it said is passed on, and the container goes on."""
    criu = failing_criu(container, b"\x08\x01\x10\x00\x4a\x0ano harbour")  # criu_resp: type DUMP, no success, cr_errmsg
    container.started()
    said = container.runtime.fails("checkpoint", "--image-path", images, container.id, options=criu)
    assert "no harbour" in said and str(images) in said
    assert container.status == "running"


@pytest.mark.needs("criu is named")
def test_a_criu_that_ends_without_an_answer(container, images):
    container.started()
    said = container.runtime.fails("checkpoint", "--image-path", images, container.id, options=failing_criu(container))
    assert "without an answer" in said and str(images) in said
    assert container.status == "running"


@pytest.mark.needs("criu is named")
def test_a_failed_restore_leaves_nothing(container, images):
    images.mkdir()
    container.save()
    container.runtime.fails("restore", "--bundle", container.bundle, "--image-path", images, container.id, options=failing_criu(container))
    container.runtime.fails("state", container.id)


@pytest.mark.parametrize("status", ["created", "stopped"])
@pytest.mark.needs("checkpoint")
def test_only_what_runs_is_written(container, images, status):
    container.create("true")
    if status == "stopped":
        container.start()
        container.wait_stopped()
    container.runtime.fails("checkpoint", "--image-path", images, container.id)


@pytest.mark.needs("checkpoint")
def test_images_that_are_not_there(container, images):
    container.save()
    container.runtime.fails("restore", "--bundle", container.bundle, "--image-path", images, container.id)
    container.runtime.fails("state", container.id)


@pytest.mark.needs("checkpoint")
def test_no_container(runtime, images):
    runtime.fails("checkpoint", "--image-path", images, "absent")


@pytest.mark.needs("criu is named")
def test_a_mode_that_is_none(container, images):
    container.started()
    assert "harbour" in container.runtime.fails("checkpoint", "--manage-cgroups-mode", "harbour", "--image-path", images, container.id)
