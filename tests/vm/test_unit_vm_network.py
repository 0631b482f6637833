"""The network of `berth run --unit vm`, in user mode and by a tap device: what a guest really fetches from this host."""
import contextlib
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import machine
import pytest
from berth import Berth

IMAGE = "localhost/busybox:latest"
BOOT_S = 120

pytestmark = pytest.mark.usefixtures("as_root", "no_leaks")


@pytest.fixture(scope="module")
def shared(busybox_archive):
    with Berth() as made:
        made.load(busybox_archive)
        made("kernel", "add", machine.debian_package(), timeout=300)
        yield made


def run(berth, network, script, *, code=0, options=()):
    chosen = ("--network", network) if network else ()
    return berth("run", "--rm", "--unit", "vm", *chosen, *options, IMAGE, "sh", "-c", script, code=code, timeout=BOOT_S)


def outside_address() -> str:
    """Of this host, as others see it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))  # sends nothing
        except OSError:
            pytest.skip("this host has no route to the outside")
        return probe.getsockname()[0]


@contextlib.contextmanager
def served(address: str, content: bytes):
    """An HTTP server; gives its port."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            self.server.posted = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


needs_passt = pytest.mark.skipif(not shutil.which("passt"), reason="no passt (Debian's package passt)")


@needs_passt
@pytest.mark.parametrize("network", [None, "user"])
def test_a_guest_reaches_what_its_host_reaches(shared, network):
    content = os.urandom(1_000_000)
    address = outside_address()
    with served(address, content) as server:
        url = f"http://{address}:{server.server_port}/"
        seen = run(shared, network, f"""
            wget -q -O /tmp/got {url} && sha256sum < /tmp/got | cut -c1-64
            wget -q -O - --post-data=$(head -c 60000 /dev/zero | tr '\\0' x) {url}
            ip -4 addr show eth0 | grep -o 'inet [^ ]*'; ip route | grep default; cat /etc/resolv.conf; grep -c lo: /proc/net/dev""")
        lines = seen.stdout.splitlines()
        assert lines == [hashlib.sha256(content).hexdigest(), "inet 10.0.2.15/24", "default via 10.0.2.2 dev eth0 ",
                         "nameserver 10.0.2.3", "1"], seen
        assert server.posted == b"x" * 60000


@needs_passt
def test_user_mode_does_not_lead_to_the_hosts_loopback(shared):
    with served("127.0.0.1", b"private") as server:
        seen = run(shared, "user", f"for a in 10.0.2.2 127.0.0.1; do wget -T 3 -q -O - http://$a:{server.server_port}/; done; true")
        assert "private" not in seen.stdout, seen


@needs_passt
def test_its_passt_ends_with_the_machine(shared):
    outside_address()

    def of_the_test() -> set[str]:
        found = set()
        for status in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if status.read_text(encoding="ascii").startswith("passt"):
                    found.add(status.parent.name)
        return found
    before = of_the_test()
    shared("run", "-d", "--unit", "vm", "--name", "killed", IMAGE, "sleep", "1000", timeout=BOOT_S)
    assert len(of_the_test() - before) == 1
    os.kill(shared.inspect("killed")["State"]["Pid"], 9)
    shared("wait", "killed", timeout=30)
    shared.wait_until(lambda: not of_the_test() - before)
    shared("start", "killed", timeout=BOOT_S)
    assert shared("exec", "killed", "ip", "route", timeout=60).stdout.startswith("default via 10.0.2.2")
    shared("rm", "-f", "killed")
    shared.wait_until(lambda: not of_the_test() - before)


def test_none_is_nothing_but_loopback(shared):
    assert run(shared, "none", "ls /sys/class/net; cat /etc/resolv.conf").stdout == "lo\n"


@contextlib.contextmanager
def tap(name: str, address: str):
    if not pathlib.Path("/dev/net/tun").exists() or not shutil.which("ip"):
        pytest.skip("no tap devices here")
    subprocess.run(["ip", "tuntap", "add", "name", name, "mode", "tap"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)


def test_a_tap_device_is_a_cable_to_the_host(shared):
    content = os.urandom(300_000)
    with tap("berth-tap7", "198.51.100.1/30"), served("198.51.100.1", content) as server:
        seen = run(shared, "tap:berth-tap7,ip=198.51.100.2/30,gateway=198.51.100.1,dns=198.51.100.1", f"""
            wget -q -O - http://198.51.100.1:{server.server_port}/ | sha256sum | cut -c1-64
            ip route | grep default; cat /etc/resolv.conf; cat /sys/class/net/eth0/address""")
        digest, route, dns, mac = seen.stdout.splitlines()
        assert digest == hashlib.sha256(content).hexdigest()
        assert (route, dns) == ("default via 198.51.100.1 dev eth0 ", "nameserver 198.51.100.1")
        assert mac.startswith("02:")


@pytest.mark.parametrize("network, words", [
    ("host", "--network host: a virtual machine has an interface of its own"),
    ("tap:berth-none,ip=198.51.100.2/30", "there is no tap device berth-none"),
    ("tap:x,ip=1.2.3/30", "is no IPv4 address"),
    ("tap:x", "ip=ADDRESS/BITS is missing"),
    ("tap:x,ip=198.51.100.2/30,color=red", "color=red is no option"),
    ("mine", "--network mine: not yet"),
])
def test_what_is_no_network_is_refused_by_name(shared, network, words):
    assert words in run(shared, network, "true", code=125).stderr


def test_other_units_have_no_networks_of_machines(shared):
    for unit in ("container", "process"):
        assert "--network" in shared("run", "--rm", "--unit", unit, "--network", "user", IMAGE, "true", code=125).stderr
