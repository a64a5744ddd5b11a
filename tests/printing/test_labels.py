"""A tube's label: what was sent to the printer is read back by a decoder that nobody here wrote."""

import io
from datetime import UTC, datetime

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lis.domain.ids import AccessionNumber
from lis.printing.barcodes import CODE128_QUIET
from lis.printing.fonts import has_glyphs, width_of
from lis.printing.label_bitmap import (
    DOTS_PER_INCH,
    label_bitmap,
    label_pdf,
    label_png,
)
from lis.printing.labels import (
    BARS_DOTS_MIN,
    LINE_EM,
    NAME_EM_MIN,
    SIZES,
    TEXT_DOTS_MIN,
    LabelFacts,
    LabelSize,
    LabelTooSmall,
    cut,
    fit_tests,
    lay_out,
    shorten_name,
)
from lis.printing.zpl import COPIES_MAX, dots_of, zpl_of

FACTS = LabelFacts(
    accession="2600000017",
    family_name="Образцова",
    given_name="Проба",
    middle_name="Тестовна",
    born="р. 20.03.1985",
    container="К2-ЭДТА, сиреневая",
    site="Главный корпус",
    mark="CITO",
    tests=("CBC", "HBA1C", "ESR"),
)
AT = datetime(2026, 11, 23, tzinfo=UTC)
numbers = st.builds(
    lambda prefix, serial, width: (
        AccessionNumber.from_serial(prefix=str(prefix), serial=serial, width=width).text
    ),
    st.integers(10, 99),
    st.integers(0, 9_999_999),
    st.integers(7, 13),
)
words = st.text(alphabet="АЯШЩЖйцыWMil-ё '()<>#$[]", max_size=40)


def gray(dots):
    return np.where(dots, 0, 255).astype(np.uint8)


def read(dots):
    return {found.format.name: found.text for found in zxingcpp.read_barcodes(gray(dots))}


def read_bars(dots):
    return zxingcpp.read_barcodes(gray(dots), formats=zxingcpp.BarcodeFormat.Code128)


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda size: size.code)
def test_both_codes_are_decoded_from_what_the_printer_is_sent(size):
    zpl = zpl_of(label_bitmap(lay_out(FACTS, size)))
    assert read(dots_of(zpl)) == {"Code128": "2600000017", "DataMatrix": "2600000017"}


@given(number=numbers, size=st.sampled_from(sorted(SIZES)))
def test_every_number_is_decoded_in_every_size_or_refused(number, size):
    facts = LabelFacts(accession=number, family_name="Ы")
    try:
        layout = lay_out(facts, SIZES[size])
    except LabelTooSmall:
        assert (len(number), size) == (15, "38x25")  # an odd digit takes one more symbol
        return
    found = read(label_bitmap(layout))
    assert found["Code128"] == number
    assert found.get("DataMatrix", number) == number


def test_a_number_that_begins_with_99_is_whole():
    """The encoder's own saving would drop the pair, and the checksum would still be right."""
    facts = LabelFacts(accession="9900000007", family_name="Ы")
    dots = label_bitmap(lay_out(facts, SIZES["50x25"]))
    assert [found.text for found in read_bars(dots)] == ["9900000007"]


@pytest.mark.parametrize("size", ["50x25", "38x25"])
def test_one_dead_row_of_dots_anywhere_leaves_the_number_readable(size):
    dots = label_bitmap(lay_out(FACTS, SIZES[size]))
    for row in range(dots.shape[0]):
        damaged = dots.copy()
        damaged[row, :] = False
        assert [found.text for found in read_bars(damaged)] == ["2600000017"], f"row {row}"


@pytest.mark.parametrize("size", ["50x25", "38x25"])
def test_one_dead_dot_of_the_print_head_leaves_the_number_readable(size):
    """A dead dot makes a white line along the feed, across every code."""
    dots = label_bitmap(lay_out(FACTS, SIZES[size]))
    for column in range(dots.shape[1]):
        damaged = dots.copy()
        damaged[:, column] = False
        assert "2600000017" in read(damaged).values(), f"column {column}"


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda size: size.code)
def test_the_pdf_shows_what_is_printed(size):
    layout = lay_out(FACTS, size)
    dots = label_bitmap(layout)
    document = pypdfium2.PdfDocument(label_pdf(layout, at=AT))
    page = document[0]
    scale = DOTS_PER_INCH / 72 * (1 - 1e-6)  # the renderer rounds the page up to whole dots
    image = page.render(scale=scale, grayscale=True).to_numpy()
    text = page.get_textpage().get_text_range()
    document.close()
    shown = image.reshape(image.shape[:2]) < 144
    assert shown.shape == dots.shape
    assert read(shown) == read(dots)
    assert "2600000017" in text
    for line in layout.lines:
        box = (
            slice(line.box.y, line.box.y + line.box.height),
            slice(line.box.x, line.box.x + line.box.width),
        )
        ink = np.count_nonzero(dots[box])
        differs = np.count_nonzero(grown(shown[box]) & ~grown(dots[box], 2))
        differs += np.count_nonzero(dots[box] & ~grown(shown[box], 2))
        assert differs <= ink * 0.05, f"{line.role}: {differs} of {ink} dots stand elsewhere"


def grown(dots, by=1):
    """Black reaches `by` dots further: two renderers round an edge differently."""
    out = dots.copy()
    for shift in range(1, by + 1):
        for axis in (0, 1):
            out |= np.roll(dots, shift, axis) | np.roll(dots, -shift, axis)
    return out


def test_the_preview_is_the_bitmap():
    dots = label_bitmap(lay_out(FACTS, SIZES["50x25"]))
    with Image.open(io.BytesIO(label_png(dots))) as image:
        assert np.array_equal(np.asarray(image.convert("L")) == 0, dots)


@given(family=words, given_name=words, middle=words, site=words, container=words)
def test_texts_fit_their_boxes_and_boxes_do_not_meet(family, given_name, middle, site, container):
    facts = LabelFacts(
        accession="2600000017",
        family_name=family,
        given_name=given_name,
        middle_name=middle,
        born="р. 20.03.1985",
        site=site,
        container=container,
        mark="CITO",
        tests=("CBC",) * 40,
    )
    for size in SIZES.values():
        layout = lay_out(facts, size)
        for line in layout.lines:
            assert width_of(line.text, line.em, is_bold=line.is_bold) <= line.box.width
            assert TEXT_DOTS_MIN <= line.em <= line.box.height / 1.15
        boxes = [line.box for line in layout.lines] + [one.quiet for one in layout.pictures]
        for index, box in enumerate(boxes):
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= size.width
            assert box.y + box.height <= size.height
            assert not any(overlap(box, other) for other in boxes[:index])


def overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def test_name_birth_date_number_and_container_are_drawn_with_ink_in_their_boxes():
    layout = lay_out(FACTS, SIZES["38x25"])
    dots = label_bitmap(layout)
    for line in layout.lines:
        box = line.box
        inside = dots[box.y : box.y + box.height, box.x : box.x + box.width]
        assert np.count_nonzero(inside.any(axis=1)) >= TEXT_DOTS_MIN * 0.6, line.role
    roles = {line.role: line for line in layout.lines}
    assert roles["number"].text == "2600000017"
    assert roles["born"].text == "р. 20.03.1985"
    assert roles["name"].em >= NAME_EM_MIN


def test_the_quiet_zone_is_white():
    layout = lay_out(FACTS, SIZES["50x25"])
    dots = label_bitmap(layout)
    for code in layout.pictures:
        quiet = code.quiet
        area = dots[quiet.y : quiet.y + quiet.height, quiet.x : quiet.x + quiet.width].copy()
        box = code.box
        area[
            box.y - quiet.y : box.y - quiet.y + box.height,
            box.x - quiet.x : box.x - quiet.x + box.width,
        ] = False
        assert not area.any()
    bars = layout.pictures[0]
    assert bars.box.x - bars.quiet.x == CODE128_QUIET * bars.module
    assert bars.box.height >= BARS_DOTS_MIN


def test_a_long_name_keeps_its_initials_and_the_number_is_never_cut():
    assert shorten_name("Ли", "Анна", "", width=300) == ("Ли Анна", 30)
    full = ("Константинопольский", "Александр", "Владимирович")
    assert shorten_name(*full, width=380)[0] == "Константинопольский А. В."
    text, em = shorten_name(*full, width=200)
    assert text.endswith("… А.В.")
    assert em == NAME_EM_MIN


def test_tests_that_do_not_fit_are_counted():
    assert fit_tests(("CBC", "GLU"), width=200) == "CBC GLU"
    assert fit_tests(("CBC",) * 30, width=200).endswith("+26")
    assert fit_tests((), width=200) == ""


@given(text=words, width=st.integers(0, 400))
def test_a_cut_text_begins_like_the_whole_one(text, width):
    shorter = cut(text, LINE_EM, width)
    assert shorter == text or text.startswith(shorter.removesuffix("…"))
    assert width_of(shorter, LINE_EM) <= width or not width


def test_a_label_that_cannot_hold_its_number_is_refused():
    narrow = LabelSize(code="20x25", width_mm=20, height_mm=25)
    with pytest.raises(LabelTooSmall, match="28 mm or more"):
        lay_out(FACTS, narrow)
    with pytest.raises(LabelTooSmall, match="25 mm or more in height"):
        lay_out(FACTS, LabelSize(code="50x20", width_mm=50, height_mm=20))


def test_nothing_of_a_name_becomes_a_command_of_the_printer():
    facts = LabelFacts(accession="2600000017", family_name="^XZ^XA~JA", given_name="#panic()")
    zpl = zpl_of(label_bitmap(lay_out(facts, SIZES["50x25"])))
    assert zpl.count(b"^XA") == zpl.count(b"^XZ") == 1
    assert b"~" not in zpl


def test_copies_have_a_limit():
    dots = np.zeros((8, 8), dtype=bool)
    assert b"^PQ3^XZ" in zpl_of(dots, copies=3)
    with pytest.raises(ValueError, match="1 to 20"):
        zpl_of(dots, copies=COPIES_MAX + 1)


def test_the_typeface_has_both_alphabets():
    assert has_glyphs("Щукинъ Ёжикова Ärzte №№ ↑↓ µ–…")
