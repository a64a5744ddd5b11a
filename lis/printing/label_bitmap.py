"""A label as the dots that a print head burns; and the same label as a PDF.

Text is drawn by Typst at the head's own resolution and cut to black and white; codes are set dot by dot, so that
no edge of a bar is ever rounded. The PDF is made from the same values by the same template, codes as rectangles.
"""

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lis.printing.labels import DOTS_PER_MM, LabelLayout, Picture
from lis.printing.typst_pages import pdf_of, png_of

Bitmap = NDArray[np.bool_]  # rows from the top; True is black

DOTS_PER_INCH: Final = DOTS_PER_MM * 25.4
BLACK_BELOW: Final = 144  # of 255: a little bolder than half, thin strokes must survive the heat
TEMPLATE: Final = "label.typ"


def label_bitmap(layout: LabelLayout) -> Bitmap:
    """The dots of a label."""
    picture = png_of(TEMPLATE, _values(layout, bars=()), dots_per_inch=DOTS_PER_INCH)
    with Image.open(io.BytesIO(picture)) as image:
        dots = np.asarray(image.convert("L")) < BLACK_BELOW
    size = layout.size
    assert dots.shape == (size.height, size.width), f"{dots.shape} dots on a label of {size.code}"
    dots = dots.copy()
    for code in layout.pictures:
        quiet = code.quiet
        dots[quiet.y : quiet.y + quiet.height, quiet.x : quiet.x + quiet.width] = False
        for x, y, width, height in _rectangles(code):
            dots[y : y + height, x : x + width] = True
    return dots


def label_pdf(layout: LabelLayout, *, at: datetime) -> bytes:
    """The label as a page of its own size."""
    bars = tuple(bar for code in layout.pictures for bar in _rectangles(code))
    return pdf_of(TEMPLATE, _values(layout, bars=bars), at=at)


def label_png(dots: Bitmap) -> bytes:
    """The dots as a picture for the screen: exactly what will be printed."""
    out = io.BytesIO()
    Image.fromarray(np.where(dots, 0, 255).astype(np.uint8)).convert("1").save(
        out, format="PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH)
    )
    return out.getvalue()


def _rectangles(code: Picture) -> Iterator[tuple[int, int, int, int]]:
    """Runs of black modules as (x, y, width, height)."""
    height = code.box.height // len(code.rows)
    for row, modules in enumerate(code.rows):
        start = 0
        for run in modules.replace("01", "0 1").replace("10", "1 0").split(" "):
            if run[0] == "1":
                yield (
                    code.box.x + start * code.module,
                    code.box.y + row * height,
                    len(run) * code.module,
                    height,
                )
            start += len(run)


def _values(layout: LabelLayout, *, bars: tuple[tuple[int, int, int, int], ...]) -> dict[str, Any]:
    return {
        "width": layout.size.width,
        "height": layout.size.height,
        "lines": [
            {
                "text": line.text,
                "x": line.box.x,
                "y": line.box.y,
                "width": line.box.width,
                "height": line.box.height,
                "em": line.em,
                "bold": line.is_bold,
                "inverted": line.is_inverted,
                "right": line.is_right,
            }
            for line in layout.lines
        ],
        "bars": [
            {"x": x, "y": y, "width": width, "height": height} for x, y, width, height in bars
        ],
    }
