"""A QR code as SVG for pages and paper: shapes and attributes only, so that any strict policy allows it."""

import io
from typing import Final

import segno

ERROR_LEVEL: Final = "m"  # 15 % of the code may be dirty: paper is folded and carried in pockets
QUIET_ZONE: Final = 4  # modules of white around the code, as ISO/IEC 18004 asks


def qr_svg(text: str) -> str:
    """The code of a text; its size comes from the style sheet."""
    out = io.BytesIO()
    segno.make_qr(text, error=ERROR_LEVEL).save(
        out,
        kind="svg",
        xmldecl=False,
        omitsize=True,
        border=QUIET_ZONE,
        svgclass="qr",
        lineclass=None,
        nl=False,
    )
    return out.getvalue().decode()
