"""The one typeface of everything printed here, and how wide a text will be in it.

Source Sans Pro comes as a package, so a bare machine prints the same as ours. Widths are the sums of the glyphs'
advances: templates switch kerning and ligatures off where a text must fit a box.
"""

from functools import cache
from typing import Final

import font_source_sans_pro
import typst
from fontTools.ttLib import TTFont

FAMILY: Final = "Source Sans Pro"
_FILES: Final = font_source_sans_pro.font_files_ttf
_REGULAR: Final = _FILES["SourceSansPro"]
_BOLD: Final = _FILES["SourceSansProBold"]


@cache
def typst_fonts() -> typst.Fonts:
    """The faces that templates use, and no other: what the machine has installed changes nothing."""
    return typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[font_source_sans_pro.font_directory],
    )


@cache
def _advances(*, is_bold: bool) -> tuple[dict[int, int], int, int]:
    """Advance of each character, of one that the face lacks, and the units of an em."""
    with TTFont(_BOLD if is_bold else _REGULAR) as face:
        glyphs = face["hmtx"].metrics
        cmap = face.getBestCmap()
        advances = {character: glyphs[name][0] for character, name in cmap.items()}
        return advances, glyphs[".notdef"][0], face["head"].unitsPerEm


def width_of(text: str, em: int, *, is_bold: bool = False) -> int:
    """The width of a text in dots, when an em has `em` of them; rounded up."""
    advances, missing, units = _advances(is_bold=is_bold)
    total = sum(advances.get(ord(character), missing) for character in text)
    return -(-total * em // units)


def has_glyphs(text: str) -> bool:
    """Whether the face can show all of a text."""
    advances, _, _ = _advances(is_bold=False)
    return all(ord(character) in advances for character in text)
