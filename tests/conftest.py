"""Fixtures that every suite shares. The harness itself is in tests/lib."""
import os
import pathlib
import shutil

import images as image_maker
import pytest
from berth import Berth
from leaks import LeakCheck
from paths import BIN
from registry import Registry


def pytest_collection_modifyitems(items):
    """The programs must have been built; a missing one is a failure to say so, not a reason to skip."""
    needs_programs = any("style" not in item.nodeid for item in items)
    if needs_programs and not (BIN / "berth").exists():
        raise pytest.UsageError(f"no programs in {BIN}: run `make build` first")


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs to be root")


@pytest.fixture(scope="session")
def busybox_archive(tmp_path_factory) -> pathlib.Path:
    return image_maker.busybox(tmp_path_factory.mktemp("images") / "busybox.tar")


@pytest.fixture(scope="session")
def debian_archive() -> pathlib.Path:
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("debootstrap needs root")
    return image_maker.debian()


@pytest.fixture
def berth():
    """A private, empty root."""
    with Berth() as made:
        yield made


@pytest.fixture(scope="module")
def shared(busybox_archive):
    """A private root with the busybox image, shared by one file's tests."""
    with Berth() as made:
        made.load(busybox_archive)
        yield made


@pytest.fixture
def no_leaks(shared):
    """The test leaves nothing behind in `shared`: no instance, mount, control group or process."""
    check = LeakCheck(shared.root)
    yield check
    check.assert_none()


@pytest.fixture(scope="session")
def registry():
    with Registry() as running:
        yield running
