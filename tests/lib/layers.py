"""Layers unpacked and packed by berth itself, without a store around it."""
import pathlib
import subprocess

from paths import BIN

TOOL = BIN / "layer_tool"


def unpack(blob: pathlib.Path, target: pathlib.Path, parents: list[pathlib.Path] = ()) -> str:
    """Gives the diff id; raises CalledProcessError, whose stderr has the message, where the layer is refused."""
    command = [TOOL, "unpack", blob, target, *parents]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def pack(tree: pathlib.Path, blob: pathlib.Path, compression: str, plain: bool = False) -> str:
    command = [TOOL, "pack", tree, blob, compression, *(["--plain"] if plain else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


class Merged:
    """Layers, bottom first, unpacked below `scratch` and merged by a real overlay mount at `root`."""

    def __init__(self, layers: list[bytes], scratch: pathlib.Path):
        self.root = scratch / "merged"
        self.directories: list[pathlib.Path] = []
        for number, layer in enumerate(layers):
            blob = scratch / f"layer{number}.blob"
            blob.write_bytes(layer)
            unpack(blob, scratch / f"layer{number}", list(reversed(self.directories)))
            self.directories.append(scratch / f"layer{number}")

    def __enter__(self) -> pathlib.Path:
        self.root.mkdir()
        empty = self.root.with_name("empty")  # overlay wants two lower directories where there is no upper one
        empty.mkdir()
        lower = ":".join(str(path) for path in [*reversed(self.directories), empty])
        subprocess.run(["mount", "-t", "overlay", "berth-test", "-o", f"ro,lowerdir={lower}", self.root], check=True)
        return self.root

    def __exit__(self, *_) -> None:
        subprocess.run(["umount", self.root], check=True)
