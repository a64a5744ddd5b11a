"""A tube's label as a layout: what stands where, in printer dots. Pure; ZPL, preview and PDF are drawn from it.

    +--------------------------------------------+
    | Family Given Middle                [CITO]  |   name, shortened by rule; the mark is white on black
    | b. 20.03.1985                      Branch  |
    |  || ||| | |||| || | ||| ||      [matrix]   |   quiet zones are part of the layout
    | 2600000017              EDTA, lilac cap    |   the number is never shortened
    | CBC GLU ALT +3                             |
    +--------------------------------------------+

A label that cannot hold its number with quiet zones is an error of the size, never a narrower code: `lay_out` raises
`LabelTooSmall`. The Data Matrix repeats the number for cameras and is left out where there is no room for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lis.printing.barcodes import (
    CODE128_QUIET,
    MATRIX_QUIET,
    code128_modules,
    matrix_modules,
)
from lis.printing.fonts import width_of

DOTS_PER_MM: Final = 8  # 203 dpi print heads have 8 dots in a millimetre
EDGE: Final = 4  # dots at top and bottom that a print head may miss
MARGIN: Final = 8
GAP: Final = 2
NAME_EM: Final = 30
NAME_EM_MIN: Final = 24  # 3 mm: the name is read at arm's length
LINE_EM: Final = 22
NUMBER_EM: Final = 26
TESTS_EM: Final = 20
TEXT_DOTS_MIN: Final = 20  # no text has a smaller em: 2.5 mm, about 7 points
LINE_HEIGHT: Final = 1.2  # of an em: Source Sans has room for Й and ц in it
BARS_DOTS_MIN: Final = (
    48  # 6 mm; ISO asks 15 % of the width or 6.35 mm for hand scanners, tubes are read by machines
)
MODULE_DOTS: Final = (
    3,
    2,
)  # widest that fits; 2 dots = 0.25 mm is the least that tube readers promise
MATRIX_MODULE_DOTS: Final = 4
ELLIPSIS: Final = "…"


class LabelTooSmall(ValueError):
    """A size that cannot hold what must stand on a label whole."""

    def __init__(self, *, expected: str, got: str) -> None:
        super().__init__(f"label size: expected {expected}, got {got}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSize:
    """A roll of labels."""

    code: str
    width_mm: int
    height_mm: int

    @property
    def width(self) -> int:
        return self.width_mm * DOTS_PER_MM

    @property
    def height(self) -> int:
        return self.height_mm * DOTS_PER_MM


SIZES: Final = {
    size.code: size
    for size in (
        LabelSize(code="50x25", width_mm=50, height_mm=25),
        LabelSize(code="38x25", width_mm=38, height_mm=25),
        LabelSize(code="58x30", width_mm=58, height_mm=30),
        LabelSize(code="58x40", width_mm=58, height_mm=40),
    )
}
SIZE_DEFAULT: Final = "50x25"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """What a label says, as text in the laboratory's language."""

    accession: str
    family_name: str
    given_name: str = ""
    middle_name: str = ""
    born: str = ""
    container: str = ""
    site: str = ""
    mark: str = ""  # of urgency; "" for routine
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in dots, from the top left corner of the label."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text in its box."""

    role: str  # name, mark, born, site, number, container, tests
    text: str
    box: Box
    em: int
    is_bold: bool = False
    is_inverted: bool = False
    is_right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A code: its rows of modules and the box of its black part. `quiet` is the white around it."""

    role: str  # bars, matrix
    rows: tuple[str, ...]
    box: Box
    quiet: Box

    @property
    def module(self) -> int:
        """Dots in the width of a module."""
        return self.box.width // len(self.rows[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLayout:
    """Everything on one label."""

    size: LabelSize
    lines: tuple[Line, ...]
    pictures: tuple[Picture, ...]


def lay_out(facts: LabelFacts, size: LabelSize) -> LabelLayout:
    """Place everything; raise `LabelTooSmall` when the size cannot hold the number."""
    heights = [_line_height(em) for em in (NAME_EM, LINE_EM, NUMBER_EM, TESTS_EM)]
    bars_height = size.height - 2 * EDGE - sum(heights) - 4 * GAP
    if bars_height < BARS_DOTS_MIN:
        raise LabelTooSmall(expected="a label of 25 mm or more in height", got=size.code)
    y_name = EDGE
    y_born = y_name + heights[0] + GAP
    y_bars = y_born + heights[1] + GAP
    y_number = y_bars + bars_height + GAP
    y_tests = y_number + heights[2] + GAP
    lines = (
        *_name_row(facts, size, y_name),
        *_pair(("born", facts.born), ("site", facts.site), LINE_EM, size, y_born),
        *_number_row(facts, size, y_number),
        *_tests_row(facts, size, y_tests),
    )
    pictures = tuple(_codes(facts.accession, size, y_bars, bars_height))
    return LabelLayout(
        size=size, lines=tuple(line for line in lines if line.text), pictures=pictures
    )


def shown_date(iso: str, language: str) -> str:
    """A date as a language writes it on paper, as precise as it is known."""
    return ".".join(reversed(iso.split("-"))) if language == "ru" else iso


def shorten_name(family: str, given: str, middle: str, *, width: int) -> tuple[str, int]:
    """The longest form of a name that fits, and its em: in full, with initials, smaller, then cut.

    Initials stay when the family name is cut: they tell relatives apart.
    """
    initials = [f"{part[0]}." for part in (given, middle) if part]
    full = " ".join(part for part in (family, given, middle) if part)
    forms = [full, " ".join([family, *initials]), f"{family} {''.join(initials)}".strip()]
    for em in (NAME_EM, NAME_EM_MIN):
        for form in forms if em == NAME_EM else forms[1:]:
            if width_of(form, em, is_bold=True) <= width:
                return form, em
    tail = "".join(initials)
    rest = width - width_of(f" {tail}", NAME_EM_MIN, is_bold=True)
    return f"{cut(family, NAME_EM_MIN, rest, is_bold=True)} {tail}".strip(), NAME_EM_MIN


def cut(text: str, em: int, width: int, *, is_bold: bool = False) -> str:
    """A text that fits, with an ellipsis for what was left out."""
    if width_of(text, em, is_bold=is_bold) <= width:
        return text
    for length in range(len(text) - 1, 0, -1):
        shorter = text[:length].rstrip() + ELLIPSIS
        if width_of(shorter, em, is_bold=is_bold) <= width:
            return shorter
    return ""


def fit_tests(tests: tuple[str, ...], *, width: int) -> str:
    """As many codes as fit whole, and how many more there are."""
    for count in range(len(tests), -1, -1):
        rest = len(tests) - count
        text = " ".join((*tests[:count], *([f"+{rest}"] if rest else ())))
        if width_of(text, TESTS_EM) <= width:
            return text
    return ""


# --- rows ---------------------------------------------------------------------------------------


def _line_height(em: int) -> int:
    return round(em * LINE_HEIGHT)


def _name_row(facts: LabelFacts, size: LabelSize, y: int) -> Iterator[Line]:
    height = _line_height(NAME_EM)
    room = size.width - 2 * MARGIN
    if facts.mark:
        width = width_of(facts.mark, NAME_EM_MIN, is_bold=True) + 2 * MARGIN
        box = Box(x=size.width - MARGIN - width, y=y, width=width, height=height)
        yield Line(
            role="mark", text=facts.mark, box=box, em=NAME_EM_MIN, is_bold=True, is_inverted=True
        )
        room -= width + MARGIN
    text, em = shorten_name(facts.family_name, facts.given_name, facts.middle_name, width=room)
    box = Box(x=MARGIN, y=y, width=room, height=height)
    yield Line(role="name", text=text, box=box, em=em, is_bold=True)


def _pair(
    left: tuple[str, str], right: tuple[str, str], em: int, size: LabelSize, y: int
) -> Iterator[Line]:
    """Two texts in a row: the left one whole, the right one in what is left."""
    height = _line_height(em)
    width = min(width_of(left[1], em) + 1, size.width - 2 * MARGIN)
    yield Line(
        role=left[0], text=left[1], em=em, box=Box(x=MARGIN, y=y, width=width, height=height)
    )
    x = MARGIN + width + (MARGIN if left[1] else 0)
    box = Box(x=x, y=y, width=max(size.width - MARGIN - x, 0), height=height)
    yield Line(role=right[0], text=cut(right[1], em, box.width - 1), em=em, box=box, is_right=True)


def _number_row(facts: LabelFacts, size: LabelSize, y: int) -> Iterator[Line]:
    height = _line_height(NUMBER_EM)
    width = width_of(facts.accession, NUMBER_EM, is_bold=True) + 1
    if width > size.width - 2 * MARGIN:
        raise LabelTooSmall(expected=f"a label as wide as {facts.accession}", got=size.code)
    box = Box(x=MARGIN, y=y, width=width, height=height)
    yield Line(role="number", text=facts.accession, box=box, em=NUMBER_EM, is_bold=True)
    x = MARGIN + width + MARGIN
    rest = Box(x=x, y=y, width=max(size.width - MARGIN - x, 0), height=height)
    is_wide = width_of(facts.container, LINE_EM) >= rest.width
    em = TEXT_DOTS_MIN if is_wide else LINE_EM
    text = cut(facts.container, em, rest.width - 1)
    yield Line(role="container", text=text, box=rest, em=em, is_right=True)


def _tests_row(facts: LabelFacts, size: LabelSize, y: int) -> Iterator[Line]:
    width = size.width - 2 * MARGIN
    box = Box(x=MARGIN, y=y, width=width, height=_line_height(TESTS_EM))
    yield Line(role="tests", text=fit_tests(facts.tests, width=width - 1), box=box, em=TESTS_EM)


# --- codes --------------------------------------------------------------------------------------


def _codes(accession: str, size: LabelSize, y: int, height: int) -> Iterator[Picture]:
    modules = code128_modules(accession)
    whole = len(modules) + 2 * CODE128_QUIET
    module = next((dots for dots in MODULE_DOTS if whole * dots <= size.width), None)
    if module is None:
        raise LabelTooSmall(
            expected=f"a label of {-(-whole * MODULE_DOTS[-1] // DOTS_PER_MM)} mm or more for {accession}",
            got=f"{size.width_mm} mm",
        )
    matrix = _matrix(accession, size, y, height, taken=whole * module)
    room = matrix.quiet.x if matrix else size.width
    x = (room - whole * module) // 2
    yield Picture(
        role="bars",
        rows=(modules,),
        box=Box(x=x + CODE128_QUIET * module, y=y, width=len(modules) * module, height=height),
        quiet=Box(x=x, y=y, width=whole * module, height=height),
    )
    if matrix:
        yield matrix


def _matrix(accession: str, size: LabelSize, y: int, height: int, *, taken: int) -> Picture | None:
    rows = matrix_modules(accession)
    white = MATRIX_QUIET * MATRIX_MODULE_DOTS
    side = len(rows) * MATRIX_MODULE_DOTS
    whole = side + 2 * white
    if taken + whole > size.width or whole > height:
        return None
    x = size.width - whole - min(MARGIN, size.width - taken - whole)
    top = y + (height - whole) // 2
    return Picture(
        role="matrix",
        rows=rows,
        box=Box(x=x + white, y=top + white, width=side, height=side),
        quiet=Box(x=x, y=top, width=whole, height=whole),
    )
