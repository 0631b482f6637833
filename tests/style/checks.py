"""What the style test checks, as functions from one file's text to its violations. No file is read here."""
import re
from dataclasses import dataclass

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70

# A room may include itself and rooms of a lower floor; ARCHITECTURE.md has the reasons.
FLOORS = {
    "base": 0,
    "sys": 1, "db": 1, "term": 1, "x86": 1,
    "image/model": 2.0, "image/store": 2.1, "image/layer": 2.1, "image/unpack": 2.2,
    "image/archive": 2.3, "image/registry": 2.3, "guest": 2,
    "kernel/store": 2.0, "kernel/unpack": 2.1, "relay": 2,
    "isolate": 3, "engine": 3, "device": 3,
    "vmm": 4,
    "unit": 5, "oci": 5,
    "node": 6, "guest_init": 6,
    "api": 7,
    "cmd/berth": 8, "cmd/berth-monitor": 8, "cmd/berth-image": 8, "cmd/berth-oci": 8, "cmd/berth-vmm": 8, "cmd/berth-init": 8,
    "cmd/berth-bench": 8,
}

# The kernel's mechanisms belong to src/sys. A name that is also an English verb counts only when it is written with the
# global scope's "::"; the others always.
RAW_WHEN_GLOBAL = ("mount", "umount", "umount2", "ioctl", "kill", "chroot", "clone", "sethostname")
RAW_ALWAYS = ("syscall", "clone3", "setns", "unshare", "pivot_root", "prctl", "open_tree", "move_mount", "fsopen",
              "fsconfig", "fsmount", "mount_setattr", "pidfd_open", "pidfd_send_signal", "bpf", "seccomp", "init_module")
# Never right anywhere: unbounded copies, shells, and ways around the error and log types.
BANNED = ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "system", "popen", "tmpnam", "mktemp", "rand", "srand",
          "alloca", "atoi", "atol")


@dataclass(frozen=True)
class Violation:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<raw>[^()\\ ]{0,16})\(.*?\)(?P=raw)"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-fA-F'])'(?:\\.|[^'\\\n])+'", re.DOTALL)


def blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def code_only(text: str) -> str:
    """The text with comments, strings and characters blanked out; lines and columns stay."""
    return TOKEN.sub(lambda match: blank(match.group()), text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def room_of(path: str) -> str:
    """'src/image/model/digest.cpp' -> 'image/model'; a room's own sub-folders belong to the room."""
    parts = path.split("/")[1:-1]
    depth = 2 if parts[0] in ("image", "cmd", "kernel") else 1
    return "/".join(parts[:depth])


def check_includes(path: str, text: str) -> list[Violation]:
    found = []
    own = room_of(path)
    if own not in FLOORS:
        return [Violation(path, 1, f"room '{own}' has no floor; add it to FLOORS and ARCHITECTURE.md")]
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', text, re.MULTILINE):
        target = room_of("src/" + match.group(1)) if "/" in match.group(1) else ""
        line = line_of(text, match.start())
        if target not in FLOORS:
            found.append(Violation(path, line, f'include "{match.group(1)}" by its path from src/, room first'))
        elif target != own and FLOORS[target] >= FLOORS[own]:
            found.append(Violation(path, line, f"{own} (floor {FLOORS[own]}) may not include {target} "
                                               f"(floor {FLOORS[target]}): includes point down"))
    return found


def check_raw_calls(path: str, text: str) -> list[Violation]:
    """Tests may call what they check the effect of."""
    if room_of(path) == "sys" or path.endswith("_test.cpp"):
        return []
    code = code_only(text)
    patterns = [rf"(?<![\w>])::({'|'.join(RAW_WHEN_GLOBAL)})\s*\(", rf"(?<![\w.>:])(?:::)?({'|'.join(RAW_ALWAYS)})\s*\("]
    return [Violation(path, line_of(code, match.start()), f"raw {match.group(1)}() belongs to src/sys")
            for pattern in patterns for match in re.finditer(pattern, code)]


def check_banned(path: str, text: str) -> list[Violation]:
    code = code_only(text)
    found = [Violation(path, line_of(code, match.start()), f"{match.group(1)}() is banned")
             for match in re.finditer(rf"(?<![\w.>])(?:std::|::)?\b({'|'.join(BANNED)})\s*\(", code)]
    found += [Violation(path, line_of(code, match.start()), "'using namespace std' is banned")
              for match in re.finditer(r"\busing\s+namespace\s+std\s*;", code)]
    found += [Violation(path, line_of(text, match.start()), f"{match.group(1)}: finish it, or write it in docs/roadmap.md")
              for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", text)]
    return found


def check_sizes(path: str, text: str) -> list[Violation]:
    lines = text.count("\n")
    found = []
    if lines > MAX_FILE_LINES:
        found.append(Violation(path, lines, f"{lines} lines; a file has at most {MAX_FILE_LINES}"))
    for name, first, length in functions(text):
        if length > MAX_FUNCTION_LINES:
            found.append(Violation(path, first, f"{name} has {length} lines; a function has at most {MAX_FUNCTION_LINES}"))
    return found


def functions(text: str) -> list[tuple[str, int, int]]:
    """(name, first line, number of lines) of each function body outside other functions."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: blank(match.group()), code_only(text),
                  flags=re.MULTILINE)
    found = []
    stack: list[tuple[str, int] | None] = []  # one entry an open brace: a function's (name, offset) or None
    head = 0                                   # where the current declaration began
    inside = 0                                 # open braces that are functions or below one
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match.group() == "{":
            opened = None if inside else function_head(code, head, at)
            stack.append(opened)
            inside += 1 if opened or inside else 0
        elif match.group() == "}" and stack:
            opened = stack.pop()
            inside -= 1 if inside else 0
            if opened:
                first = line_of(code, opened[1])
                found.append((opened[0], first, line_of(code, at) - first + 1))
        if not inside:
            head = match.end()
    return found


def function_head(code: str, start: int, end: int) -> tuple[str, int] | None:
    """The function whose declaration is code[start:end], or None for a type, a namespace or an initialiser."""
    declaration = code[start:end]
    text = declaration.strip()
    named = re.search(r"((?:operator\s*\S{1,3}|[~\w:]+))\s*\(", text)
    if not named or re.match(r"(?:namespace|class|struct|union|enum|extern\s)\b", text):
        return None
    if re.search(r"(?<![=<>!+\-*/])=\s*$", text) or re.search(r"^[^()]*[^=<>!(]=[^=]", text):
        return None
    offset = start + len(declaration) - len(declaration.lstrip())
    return named.group(1), offset


def check_header(path: str, text: str) -> list[Violation]:
    found = []
    if path.endswith(".hpp") and "#pragma once" not in text:
        found.append(Violation(path, 1, "a header says #pragma once"))
    if not text.endswith("\n"):
        found.append(Violation(path, text.count("\n") + 1, "ends without a newline"))
    return found


def check_pairs(paths: set[str]) -> list[Violation]:
    """Each _test and _fuzz file stands beside what it is about: a file, a family of files (log_test.cpp: log_line,
    log_writer), or the whole folder that it is named after."""
    found = []
    for path in sorted(paths):
        match = re.fullmatch(r"(.*)/([^/]+)_(test|fuzz)\.cpp", path)
        if match and match.group(1).rsplit("/", 1)[-1] != match.group(2) and not any(other.startswith(f"{match.group(1)}/") and related(other, match.group(2))
                             for other in paths if other != path):
            found.append(Violation(path, 1, f"tests nothing that stands beside it: no {match.group(2)}.hpp or .cpp"))
    return found


def related(path: str, subject: str) -> bool:
    stem = path.rsplit("/", 1)[1].rsplit(".", 1)[0]
    return not stem.endswith(("_test", "_fuzz")) and (
        stem == subject or subject.startswith(stem + "_") or stem.startswith(subject + "_"))


FILE_CHECKS = (check_includes, check_raw_calls, check_banned, check_sizes, check_header)
