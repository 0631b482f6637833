"""What every measurement here shares: interleaved runs, medians, tables, promises."""
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.dont_write_bytecode = True


def timed(command: list[str]) -> float:
    """Runs a command that must succeed; gives its wall time in milliseconds."""
    begin = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    took = (time.monotonic() - begin) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return took


def interleaved(actions: dict, rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Each action once a round, so that a noisy moment meets all of them. An action gives its own figure."""
    figures = {name: [] for name in actions}
    for turn in range(warm_up + rounds):
        for name, action in actions.items():
            figure = action()
            if turn >= warm_up:
                figures[name].append(figure)
    return figures


def median(values: list[float]) -> float:
    return statistics.median(values)


def table(title: str, head: list[str], rows: list[list]) -> None:
    cells = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def times_table(title: str, figures: dict[str, list[float]]) -> None:
    table(title, ["", "median ms", "min", "max", "runs"],
          [[name, f"{median(values):.1f}", f"{min(values):.1f}", f"{max(values):.1f}", len(values)]
           for name, values in figures.items()])


def skipped(what: str, why: str) -> None:
    print(f"\nskipped  {what}: {why}")


def promise(text: str, kept: bool) -> int:
    """Prints whether a promise of SPEC.md holds; gives the exit status for it."""
    print(f"  {'kept  ' if kept else 'BROKEN'}  {text}")
    sys.stdout.flush()
    return 0 if kept else 1
