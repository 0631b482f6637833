"""bench/picture.py: the picture says what the figures say."""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

from paths import ROOT

sys.path.insert(0, str(pathlib.Path(ROOT) / "bench"))
import picture  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def bars_of(drawn: str) -> list[tuple[float, float, str]]:
    """Begin, width and colour of each bar; the squares that explain colours and the page itself are none."""
    shapes = [shape.attrib for shape in ElementTree.fromstring(drawn).iter(f"{SVG}rect")]
    return [(float(shape["x"]), float(shape["width"]), shape["fill"]) for shape in shapes if shape.get("height") == str(picture.BAR - 1)]


def test_a_bar_is_as_long_as_its_logarithm():
    hundred, ten, tenth = bars_of(picture.bars("t", "n", {"work": {"a": 100.0, "b": 10.0, "c": 0.1}}))
    assert abs(hundred[1] - 2 * ten[1]) < 0.2
    assert hundred[0] == ten[0], "both begin at native"
    assert abs(tenth[0] + tenth[1] - ten[0]) < 0.2, "what is quicker than native goes the other way"
    assert abs(tenth[1] - ten[1]) < 0.2


def test_a_system_keeps_its_colour_where_another_is_missing():
    first, second, alone = bars_of(picture.bars("t", "n", {"one": {"a": 2.0, "b": 3.0}, "two": {"b": 4.0}}))
    assert first[2] != second[2] == alone[2]


def test_names_cannot_break_the_picture():
    drawn = picture.bars("<&>", "\"'", {"<work>": {"a&b": 5.0}})
    words = [place.text for place in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert {"<&>", "\"'", "<work>", "a&b", "5"} <= set(words)


def test_all_figures_equal_to_native_are_drawn():
    assert [width for _, width, _ in bars_of(picture.bars("t", "n", {"work": {"a": 1.0}}))] == [1.0]
