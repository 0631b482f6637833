"""Memory of processes, from /proc."""
import pathlib
import re


def processes_naming(text: str, program: str) -> list[int]:
    """Processes whose command line has `text` and whose program's name begins with `program`."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if pathlib.PurePath(words[0]).name.startswith(program) and any(text in word for word in words):
            found.append(int(process.name))
    return found


def private_bytes(pid: int) -> int:
    """What would be free if this process ended: private clean and dirty pages, huge ones too. The memory of a guest is not
    counted."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8")
    mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    return 1024 * sum(int(kib) for mapping in mappings if "/memfd:berth-guest" not in mapping.partition("\n")[0]
                      for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", mapping, re.MULTILINE))
