"""What `make install` puts below DESTDIR: programs that run from there, a manual page that renders, completions."""
import gzip
import pathlib
import shutil
import subprocess

import pytest
from berth import Berth
from paths import BIN, ROOT


def run(*command) -> str:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> pathlib.Path:
    """The two steps of `make install`, with a DESTDIR."""
    prefix = tmp_path_factory.mktemp("destdir") / "usr" / "local"
    run("cmake", "--install", BIN.parent, "--prefix", prefix, "--strip")
    run(ROOT / "tools" / "install-docs", BIN / "berth", prefix)
    return prefix


def test_the_installed_programs_run_an_image(prefix, as_root, busybox_archive):
    assert {"berth", "berth-monitor", "berth-image"} <= {path.name for path in (prefix / "bin").iterdir()}
    with Berth(binary_dir=prefix / "bin") as berth:
        berth.load(busybox_archive)
        assert berth("run", "--rm", "--network", "none", "localhost/busybox", "echo", "installed").stdout == "installed\n"


def test_nothing_but_the_programs_and_their_docs_is_installed(prefix):
    strangers = [path for path in prefix.rglob("*") if path.is_file() and not path.name.startswith(("berth", "_berth"))]
    assert strangers == []


@pytest.mark.skipif(not shutil.which("man"), reason="no man here to render the page")
def test_the_manual_page_renders_without_warnings(prefix):
    page = prefix / "share" / "man" / "man1" / "berth.1.gz"
    shown = subprocess.run(["man", "--warnings=w", "-l", page], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    assert shown.returncode == 0 and shown.stderr == "", shown.stderr
    for word in ("NAME", "SYNOPSIS", "EXIT STATUS", "pull", "--network"):
        assert word in shown.stdout, word


def test_each_shell_reads_its_completion(prefix):
    share = prefix / "share"
    run("bash", "-n", share / "bash-completion" / "completions" / "berth")
    assert (share / "zsh" / "site-functions" / "_berth").read_text().startswith("#compdef berth")
    run("bash", "-n", share / "bash-completion" / "completions" / "berth-oci")
    assert "complete -c berth" in (share / "fish" / "vendor_completions.d" / "berth.fish").read_text()
    assert gzip.open(share / "man" / "man1" / "berth.1.gz").read().startswith(b".TH BERTH 1")
