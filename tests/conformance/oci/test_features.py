"""`features` (features.md): clients choose by it, so each answer must be true."""
import json
import subprocess

import pytest

pytestmark = pytest.mark.needs("features")


@pytest.fixture
def features(claimed, runtime) -> dict:
    return json.loads(runtime("features").stdout)


def test_versions(features):
    assert features["ociVersionMin"] == "1.0.0"
    assert features["ociVersionMax"].startswith("1.")


def test_hooks(features):
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}


@pytest.mark.needs("every listed option")
def test_every_mount_option_is_taken(features, container):
    """Options that need the recursive or an idmapped kind are tried by their own tests."""
    apart = {"idmap", "ridmap", "remount", "mand", "nomand", "iversion", "noiversion", "copy-symlink"}
    for number, option in enumerate(sorted(set(features["mountOptions"]) - apart)):
        if option in ("bind", "rbind"):
            container.mount(f"/m{number}", "bind", "/usr", option)
        elif option == "tmpcopyup":
            container.mount("/etc", "tmpfs", "tmpfs", option)
        elif option.startswith("r") and option not in ("ro", "rw", "relatime"):
            container.mount(f"/m{number}", "bind", "/usr", "rbind", option)
        else:
            container.mount(f"/m{number}", "tmpfs", "tmpfs", option)
    container.run("true")


def test_namespaces(features):
    assert set(features["linux"]["namespaces"]) >= {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"}


def test_every_capability_is_known_to_the_kernel(features):
    last = int(open("/proc/sys/kernel/cap_last_cap", encoding="utf-8").read())
    assert "CAP_CHOWN" in features["linux"]["capabilities"]
    assert len(features["linux"]["capabilities"]) <= last + 1


def test_control_groups(features):
    assert features["linux"]["cgroup"]["v1"] is True and features["linux"]["cgroup"]["v2"] is True


def test_system_call_filters(features):
    found = features["linux"]["seccomp"]
    assert found["enabled"] is True
    assert {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
            "SCMP_ACT_LOG"} <= set(found["actions"])
    assert {"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT",
            "SCMP_CMP_MASKED_EQ"} == set(found["operators"])
    assert "SCMP_ARCH_X86_64" in found["archs"]


def test_every_action_is_taken(features, container):
    apart = {"SCMP_ACT_NOTIFY"}  # needs a listener; test_seccomp_notify.py
    for action in set(features["linux"]["seccomp"]["actions"]) - apart:
        container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                      "syscalls": [{"names": ["getcpu"], "action": action}]}
        container.run("true")


def test_security_modules_are_those_of_the_kernel(features):
    modules = subprocess.run(["cat", "/sys/kernel/security/lsm"], capture_output=True, text=True, check=False).stdout.split(",")
    for name in ("apparmor", "selinux"):
        if features["linux"].get(name, {}).get("enabled"):
            assert name in modules or not modules[0]


@pytest.mark.needs("1.2 features")
def test_mount_extensions(features):
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True


@pytest.mark.needs("1.2 features")
def test_unsafe_annotations(features):
    assert isinstance(features.get("potentiallyUnsafeConfigAnnotations", []), list)
