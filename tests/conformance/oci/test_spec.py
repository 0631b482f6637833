"""`spec`: a configuration to begin with."""
import json

import pytest


def test_it_runs(container):
    container.runtime("spec", "--bundle", container.bundle)
    config = json.loads((container.bundle / "config.json").read_text())
    assert config["ociVersion"].startswith("1.") and config["process"]["args"] == ["sh"] and config["root"]["path"] == "rootfs"
    config["process"].update({"terminal": False, "args": ["echo", "works"]})
    config["process"].pop("rlimits", None)  # some raise limits, which not every root may
    container.config = config
    assert container.output() == "works\n"


def test_it_goes_to_the_working_directory(runtime, tmp_path):
    runtime("spec", cwd=tmp_path)
    assert (tmp_path / "config.json").exists()


def test_an_existing_one_is_kept(runtime, tmp_path):
    (tmp_path / "config.json").write_text("mine")
    runtime.fails("spec", cwd=tmp_path)
    assert (tmp_path / "config.json").read_text() == "mine"


@pytest.mark.needs("spec --rootless shares the network")
def test_rootless(runtime, tmp_path):
    runtime("spec", "--rootless", cwd=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    kinds = {entry["type"] for entry in config["linux"]["namespaces"]}
    assert "user" in kinds and "network" not in kinds
    assert config["linux"]["uidMappings"][0]["size"] == 1 and config["linux"]["gidMappings"][0]["containerID"] == 0
    assert "resources" not in config["linux"] or not config["linux"]["resources"]


def test_no_bundle(runtime, tmp_path):
    runtime.fails("spec", "--bundle", tmp_path / "absent")


@pytest.mark.needs("no limits raised")
def test_it_asks_for_nothing_that_only_some_roots_may(container):
    container.runtime("spec", "--bundle", container.bundle)
    config = json.loads((container.bundle / "config.json").read_text())
    config["process"].update({"terminal": False, "args": ["true"]})
    container.config = config
    container.run()
