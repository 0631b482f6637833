"""`linux.sysctl`. Settings outside the container's namespaces are tried with the value they have, so nothing can change."""
import pathlib

import pytest


def host(name: str) -> str:
    return pathlib.Path("/proc/sys", *name.split(".")).read_text().strip()


@pytest.mark.parametrize("name, value", [("net.ipv4.ip_forward", "1"), ("net.ipv4.ping_group_range", "0 1000"),
                                         ("net.ipv4.ip_unprivileged_port_start", "80"), ("kernel.shm_rmid_forced", "1"),
                                         ("kernel.msgmax", "4096"), ("fs.mqueue.msg_max", "20")])
def test_settings_of_namespaces(container, name, value):
    before = host(name)
    container.linux["sysctl"] = {name: value}
    assert container.output("cat", f"/proc/sys/{name.replace('.', '/')}").split() == value.split()
    assert host(name) == before


def test_several(container):
    container.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.sem": "250 32000 100 200"}
    assert container.output("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/sem").split() == ["1", "250", "32000", "100", "200"]


def test_names_with_slashes(container):
    container.linux["sysctl"] = {"net/ipv4/ip_forward": "1"}
    assert container.output("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


@pytest.mark.parametrize("name", ["kernel.panic", "vm.swappiness", "kernel.pid_max", "fs.file-max"])
def test_settings_of_the_whole_machine(container, name):
    container.linux["sysctl"] = {name: host(name)}
    assert name in container.create_fails()


def test_a_network_setting_without_a_network_of_its_own(container):
    container.drop_namespace("network")
    container.linux["sysctl"] = {"net.ipv4.ip_forward": host("net.ipv4.ip_forward")}
    container.create_fails()


def test_an_ipc_setting_without_a_namespace_of_its_own(container):
    container.drop_namespace("ipc")
    container.config["mounts"] = [mount for mount in container.config["mounts"] if mount["type"] != "mqueue"]
    container.linux["sysctl"] = {"kernel.msgmax": host("kernel.msgmax")}
    container.create_fails()


def test_a_setting_that_is_not_there(container):
    container.linux["sysctl"] = {"net.ipv4.harbour": "1"}
    container.create_fails()


def test_a_value_that_is_refused(container):
    container.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "deep"}
    container.create_fails()


@pytest.mark.parametrize("name", ["net/../kernel/panic", "net.ipv4/../../kernel/panic", "../../etc/passwd"])
@pytest.mark.needs("paths in sysctl refused")
def test_a_name_that_leads_elsewhere(container, name):
    container.linux["sysctl"] = {name: host("kernel.panic")}
    container.create_fails()
