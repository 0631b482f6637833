"""Completion as a real bash asks for it."""
import os
import subprocess

import oci
import pytest
from paths import BIN


def complete(program: str, *words: str) -> set[str]:
    """What bash offers for the last of the words; "--root=x" is three words to it."""
    typed = " ".join(f"'{word}'" for word in (program, *words))
    script = f"""PATH={BIN}:$PATH; source <({program} completion bash)
        COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _{program.replace("-", "_")}; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd="/", timeout=60)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_commands():
    assert complete("berth", "pu") == {"pull", "push"}
    assert complete("berth-oci", "st") == {"start", "state"}
    assert complete("berth-oci", "--root", "/tmp/x", "cr") == {"create"}


def test_options():
    assert complete("berth", "run", "--memory-r") <= {"--memory-reservation"}
    assert complete("berth-oci", "update", "--memory") == {"--memory", "--memory-reservation", "--memory-swap"}
    assert complete("berth-oci", "checkpoint", "--im") == {"--image-path"}
    assert complete("berth-oci", "--lo") == {"--log", "--log-format"}


def test_instances(shared):
    shared("create", "--name", "completed", "localhost/busybox", "true")
    for root in (["--root", str(shared.root)], ["--root", "=", str(shared.root)]):
        assert "completed" in complete("berth", *root, "start", "comp")
    assert "completed" not in complete("berth", "start", "comp")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_containers():
    runtime = oci.runtime("berth-oci")
    container = runtime.container()
    try:
        container.create("true")
        assert complete("berth-oci", "--root", str(runtime.state), "delete", "conf-") == {container.id}
    finally:
        container.close()
        runtime.close()


@pytest.mark.parametrize("program", ["berth", "berth-oci"])
def test_a_shell_that_is_not_known(program):
    done = subprocess.run([BIN / program, "completion", "csh"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "bash, zsh or fish" in done.stderr
