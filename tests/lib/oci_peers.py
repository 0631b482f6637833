"""What the peers do not claim, do not do, or do otherwise, each with the reason. A test marked `needs("WORD")` is skipped for them."""
import functools
import os
import pathlib
import shutil

PEERS: dict[str, dict[str, str]] = {
    "crun": {
        "double limits refused": "takes the last",
        "strict ids": "takes any id without a slash",
        "args required": "runs a process without args as sh",
        "relative cwd refused": "takes it",
        "version checked": "does not look at ociVersion beyond a warning",
        "newer versions": "refuses 1.2 (it is of 2023)",
        "does not exist": "reports the missing file instead",
        "container not running": "reports the missing process instead",
        "lower-case signals": "knows names in upper case alone",
        "signal names checked": "takes an unknown name for no signal",
        "absolute rootfs in the state": "writes it as configured",
        "exec --env adds": "replaces the environment",
        "exec --additional-gids": "has no such option",
        "exec keeps noNewPrivileges": "does not set it for further processes",
        "exec --cgroup": "knows it with version 2 alone",
        "pause twice refused": "takes it",
        "resume of a running container refused": "takes it",
        "kill of a paused container": "leaves the signal pending",
        "update of a stopped container refused": "takes it",
        "unknown devices refused": "takes them",
        "limits clamped": "fails",
        "unknown capabilities warned of": "drops them without a word",
        "scheduler": "implements 1.0.2",
        "ioPriority": "implements 1.0.2",
        "execCPUAffinity": "implements 1.0.2",
        "unknown seccomp flags refused": "takes them",
        "listenerPath required": "takes the action without it",
        "pid for createContainer": "gives 0",
        "failed poststart told": "says nothing",
        "hook timeout of 0 refused": "takes it",
        "clean failures": "leaves control groups behind",
        "pids limit of -1": "writes it to the kernel, which refuses it",
        "rdma refused": "drops it without a word",
        "cpu burst": "implements 1.0.2",
        "console socket needs a terminal": "takes it",
        "window size": "the program reads no size after the signal (stty: No child processes)",
        "double namespaces refused": "takes them",
        "time namespaces": "breaks off (write to sync socket: Broken pipe)",
        "mappings without a namespace refused": "takes them",
        "later options win": "lets the restricting one win",
        "targets through dangling links": "makes no directories behind a link",
        "unknown propagation refused": "takes it",
        "recursive access times": "passes flags that the kernel refuses",
        "recursive idmap": "maps the top mount and leaves mounts below behind",
        "events": "has no such command",
        "features": "has no such command yet",
        "annotations checked": "takes them",
        "LISTEN_FDS told": "hands on the descriptors without the variable",
        "checkpoint": "Debian builds it without libcriu",
        "criu is named": "has no such option",
        "1.2 features": "has no such command yet",
        "spec --rootless shares the network": "writes a new network namespace",
        "fake procfs refused": "writes settings to it",
        "procfs targets refused": "mounts over any file of /proc",
        "null device checked": "masks with whatever is there (CVE-2025-31133)",
        "console target checked": "mounts the terminal over what /dev/console leads to (CVE-2025-52565)",
        "hostile lists of users": "hangs on a pipe, or ends",
        "exec --user in range": "takes 4294967296 for 0",
    },
    "runc": {
        "ociVersion required": "takes a configuration without ociVersion",
        "version checked": "does not look at ociVersion",
        "real-time signals": "knows no names of them",
        "limits clamped": "fails",
        "scheduler": "implements 1.0.2",
        "ioPriority": "implements 1.0.2",
        "execCPUAffinity": "implements 1.0.2",
        "personality": "implements 1.0.2",
        "poststart at start": "runs them in create",
        "poststop hooks go on": "stops at the first that fails",
        "1 MiB of memory": "needs 2 MiB itself",
        "cpu burst": "implements 1.0.2",
        "cpu idle": "implements 1.0.2",
        "domainname": "implements 1.0.2",
        "time namespaces": "implements 1.0.2",
        "idmapped mounts": "implements 1.0.2",
        "joined user namespace without mappings": "asks for mappings",
        "mappings without a namespace refused": "takes them",
        "root propagation as asked": "leaves the root private where its mount is bound over itself",
        "every listed option": "lists `defaults`, and hands it to the file system, which refuses it",
        "1.2 features": "implements 1.0.2",
        "null device checked": "masks with whatever is there (CVE-2025-31133)",
        "console target checked": "mounts the terminal over what /dev/console leads to (CVE-2025-52565)",
        "hostile lists of users": "hangs on a pipe, or ends",
        "exec --user in range": "takes 4294967296 for 0",
        "checkBeforeUpdate": "implements 1.0.2",
        "double limits refused": "takes the last",
        "mount targets raced": "makes directories outside in some of the races (CVE-2024-45310)",
        "net_cls refused": "drops it without a word where there is version 2",
        "cgroupsPath checked": "takes .. for the root",
        "run.oci annotations": "knows none of them",
        "criu is named": "asks it for its version first",
    },
}

# What berth-oci lacks: a file of the suite, or one test of it, and the reason it is skipped. Empty when berth-oci is whole.
NOT_YET = {
}


def not_yet(file: str, test: str, with_parameters: str) -> str:
    """Why berth-oci skips `test` of `file`; empty if it does not."""
    return NOT_YET.get(file) or NOT_YET.get(f"{file}::{test}") or NOT_YET.get(f"{file}::{with_parameters}", "")


def why_not(runtime: str, need: str) -> str:
    """The reason why a test that needs this is skipped for this runtime; empty if it is not."""
    return PEERS.get(runtime, {}).get(need, "")


@functools.cache
def chosen() -> list[str]:
    """berth's runtime alone, or those that BERTH_OCI_RUNTIMES names, as far as they are installed. Always the same objects: pytest
    makes a shared fixture anew for a parameter that is not identical."""
    names = os.environ.get("BERTH_OCI_RUNTIMES", "berth-oci").split(",")
    return [name for name in names if name == "berth-oci" or shutil.which(name)]


def has_capability(number: int) -> bool:
    """Whether this process may do what the capability allows (19 is CAP_SYS_PTRACE, 24 CAP_SYS_RESOURCE)."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(effective >> number & 1)
