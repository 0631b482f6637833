"""Every test here runs once a runtime; the counts of each are printed side by side at the end."""
import collections
import os
import pathlib

import oci
import oci_peers
import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(word): skipped for runtimes that oci_peers lists with this word")


def pytest_generate_tests(metafunc):
    if "runtime" in metafunc.fixturenames:
        metafunc.parametrize("runtime", oci_peers.chosen(), indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    """Here and not in a fixture: fixtures of a whole file come first, and some run the very command that is missing."""
    for item in items:
        calls = getattr(item, "callspec", None)
        if calls and calls.params.get("runtime") == "berth-oci":
            if why := oci_peers.not_yet(item.path.name, item.originalname, item.name):
                item.add_marker(pytest.mark.skip(reason=f"berth-oci: {why}"))


@pytest.fixture(scope="session")
def runtime(request):
    made = oci.runtime(request.param)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def claimed(request):
    """Skips what a peer does not claim."""
    if os.geteuid() != 0:
        pytest.skip("needs to be root")
    if "runtime" not in request.fixturenames:
        return
    name = request.getfixturevalue("runtime").name
    request.node.user_properties.append(("runtime", name))
    for marker in request.node.iter_markers("needs"):
        for word in marker.args:
            if why := oci_peers.why_not(name, word):
                pytest.skip(f"{name}: {why}")


@pytest.fixture
def new_container(runtime):
    """Makes containers that are gone after the test, and nothing of them is left."""
    made = []

    def make() -> oci.Container:
        made.append(runtime.container())
        return made[-1]

    yield make
    if oci_peers.why_not(runtime.name, "clean failures"):
        for container in made:
            container.runtime("delete", "--force", container.id, code=None)
            container.sweep()
    left = [entry for container in made for entry in container.close()]
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def container(new_container):
    return new_container()


def pytest_terminal_summary(terminalreporter):
    names = oci_peers.chosen()
    counts = collections.defaultdict(collections.Counter)
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            path = getattr(report, "nodeid", "").partition("::")[0]
            if "conformance/oci/" not in path or (outcome == "passed" and report.when != "call"):
                continue
            for name in (value for key, value in report.user_properties if key == "runtime"):
                counts[pathlib.Path(path).stem.removeprefix("test_")][name, outcome] += 1
    if len(names) > 1 and counts:
        print_table(terminalreporter, names, counts)


def print_table(terminalreporter, names, counts) -> None:
    terminalreporter.section("OCI runtime conformance: passed/failed/skipped")
    total = collections.Counter()
    for row in counts.values():
        total.update(row)
    terminalreporter.write_line(f"{'':24}" + "".join(f"{name:>16}" for name in names))
    for file, row in [*sorted(counts.items()), ("all", total)]:
        cells = (f"{row[name, 'passed']}/{row[name, 'failed'] + row[name, 'error']}/{row[name, 'skipped']}" for name in names)
        terminalreporter.write_line(f"{file:24}" + "".join(f"{cell:>16}" for cell in cells))
