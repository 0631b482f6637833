"""Everything about a file tree that an image's layers keep, for comparing two trees byte for byte."""
import hashlib
import os
import pathlib
import stat


def snapshot(root: pathlib.Path, times: bool = True) -> dict[str, tuple]:
    """One tuple a file: type and mode, owner, size, time, device, link target, content, attributes, first name of its inode.

    Directories' own times are left out where no two tools agree: those of directories that nothing describes.
    """
    root = pathlib.Path(root)
    first_names: dict[tuple[int, int], str] = {}
    files = {}
    for directory, names, others in os.walk(os.fsencode(root)):
        names.sort()
        for name in sorted(names + others):
            path = os.path.join(directory, name)
            inside = os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            files[inside] = describe(path, inside, first_names, times)
    return files


def describe(path: bytes, inside: str, first_names: dict[tuple[int, int], str], times: bool) -> tuple:
    info = os.lstat(path)
    first = first_names.setdefault((info.st_dev, info.st_ino), inside)
    content = ""
    if stat.S_ISLNK(info.st_mode):
        content = os.fsdecode(os.readlink(path))
    elif stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(pathlib.Path(os.fsdecode(path)).read_bytes()).hexdigest()
    attributes = tuple(sorted((key, os.getxattr(path, key, follow_symlinks=False))
                              for key in os.listxattr(path, follow_symlinks=False) if ".overlay." not in key))
    size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
    return (oct(info.st_mode), info.st_uid, info.st_gid, size, info.st_mtime_ns if times else 0, info.st_rdev, content,
            attributes, first)


def differences(ours: dict[str, tuple], theirs: dict[str, tuple]) -> list[str]:
    return [f"{path}: ours {ours.get(path)}, theirs {theirs.get(path)}"
            for path in sorted(ours.keys() | theirs.keys()) if ours.get(path) != theirs.get(path)]
