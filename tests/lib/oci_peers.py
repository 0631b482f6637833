"""What the peers do not claim, do not do, or do otherwise, each with the reason. A test marked `needs("WORD")` is skipped for them."""
import os
import pathlib
import shutil

PEERS: dict[str, dict[str, str]] = {
    "crun": {
        "strict ids": "takes any id without a slash",
        "args required": "runs a process without args as sh",
        "relative cwd refused": "takes it",
        "version checked": "does not look at ociVersion beyond a warning",
        "newer versions": "refuses 1.2 (it is of 2023)",
        "does not exist": "reports the missing file instead",
        "container not running": "reports the missing process instead",
        "lower-case signals": "knows names in upper case alone",
        "signals checked": "sends what is no signal and reports nothing",
        "RFC 3339 time": "writes a time without the zone's colon",
    },
    "runc": {
        "ociVersion required": "takes a configuration without ociVersion",
        "version checked": "does not look at ociVersion",
        "real-time signals": "knows no names of them",
    },
}


def why_not(runtime: str, need: str) -> str:
    """The reason why a test that needs this is skipped for this runtime; empty if it is not."""
    return PEERS.get(runtime, {}).get(need, "")


def chosen() -> list[str]:
    """berth's runtime alone, or those that BERTH_OCI_RUNTIMES names, as far as they are installed."""
    names = os.environ.get("BERTH_OCI_RUNTIMES", "berth-oci").split(",")
    return [name for name in names if name == "berth-oci" or shutil.which(name)]


def has_capability(number: int) -> bool:
    """Whether this process may do what the capability allows (19 is CAP_SYS_PTRACE, 24 CAP_SYS_RESOURCE)."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(effective >> number & 1)
