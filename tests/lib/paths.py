"""Where things are: the checkout, the built programs, the cache of test images."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("BERTH_BIN", ROOT / "build" / "release" / "bin")).resolve()
CACHE = pathlib.Path(os.environ.get("BERTH_TEST_CACHE", ROOT / "build" / "cache")).resolve()
