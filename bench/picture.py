"""A table of measurements as a picture: bars on a logarithmic axis. SVG of our own, that a browser shows in light and in dark."""
import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 860, 130, 70  # pixels; names of work stand left of the bars, figures right of them
BAR, GAP, ROOM_ABOVE, ROOM_BELOW = 9, 9, 78, 40
COLOURS = ("#2a78d6", "#e8833a", "#3d9a50", "#a45bc4", "#8a8a8a")  # tell apart on white and on black, also where red and green look alike

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .note, .figure, .tick { fill: #57606a } .figure { font-size: 9px }
  .page { fill: #ffffff } .grid { stroke: #d0d7de } .one { stroke: #24292f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note, .figure, .tick { fill: #9198a1 }
    .page { fill: #0d1117 } .grid { stroke: #30363d } .one { stroke: #e6edf3 }
  }"""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind and f" class={chr(34)}{kind}{chr(34)}"}>{escape(words)}</text>'


def line(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" class="{kind}"/>'


def short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


class Axis:
    """Decades that hold all values and 1, as places on the page."""

    def __init__(self, values: list[float]):
        self.first = math.floor(math.log10(min([1.0, *values])) * 2) / 2  # half a decade is the least step
        self.last = math.ceil(math.log10(max([1.0, *values])) * 2) / 2 or 1.0

    def place(self, value: float) -> float:
        return LEFT + (math.log10(value) - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        return [10.0 ** power for power in range(math.ceil(self.first), math.floor(self.last) + 1)]


def bars(title: str, note: str, rows: dict[str, dict[str, float]]) -> str:
    """`rows` gives for each kind of work each system's figure, above 0; bars start at 1. A system keeps its colour in all rows."""
    systems = list(dict.fromkeys(system for row in rows.values() for system in row))
    colour = dict(zip(systems, COLOURS, strict=False))
    axis = Axis([value for row in rows.values() for value in row.values()])
    bottom = ROOM_ABOVE + sum(len(row) * BAR + GAP for row in rows.values())
    parts = [text(16, 26, title, "title"), text(16, 45, note, "note")]
    at = 16.0
    for system in systems:
        parts += [f'<rect x="{at:.1f}" y="56" width="10" height="10" fill="{colour[system]}"/>', text(at + 15, 65, system)]
        at += 40 + 7.5 * len(system)
    for tick in axis.ticks():
        parts += [line(axis.place(tick), ROOM_ABOVE, bottom, "one" if tick == 1 else "grid"),
                  text(axis.place(tick), bottom + 16, f"{tick:g} times", "tick", "middle")]
    y = ROOM_ABOVE + GAP / 2
    for work, row in rows.items():
        parts.append(text(LEFT - 8, y + len(row) * BAR / 2 + 4, work, anchor="end"))
        for system, value in row.items():
            begin, end = sorted((axis.place(1), axis.place(value)))
            parts += [f'<rect x="{begin:.1f}" y="{y:.1f}" width="{max(end - begin, 1):.1f}" height="{BAR - 1}" fill="{colour[system]}"/>',
                      text(end + 3, y + BAR - 1, short(value), "figure")]
            y += BAR
        y += GAP
    height = bottom + ROOM_BELOW
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">\n'
            f"<title>{escape(title)}</title>\n<style>{STYLE}\n</style>\n"
            f'<rect class="page" width="{WIDTH}" height="{height}"/>\n' + "\n".join(parts) + "\n</svg>\n")
