"""Typst: a template and values become a PDF or a picture. The only module that calls it.

Values travel as JSON in `sys.inputs.data`, never as template text, so that nothing a patient is called can become
a command. A page takes some 25 ms of processor time; whoever serves people calls this in a worker thread.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import typst

from lis.printing.fonts import typst_fonts

_TEMPLATES: Final = Path(__file__).parent / "templates"
PDF_STANDARD: Final = "a-2b"  # for archives


def pdf_of(template: str, values: Mapping[str, Any], *, at: datetime) -> bytes:
    """The document as PDF/A-2b; the same values at the same time give the same bytes."""
    made = typst.compile(
        _source(template),
        format="pdf",
        font_paths=typst_fonts(),
        sys_inputs=_inputs(values),
        pdf_standards=PDF_STANDARD,
        timestamp=int(at.timestamp()),
    )
    assert isinstance(made, bytes)
    return made


def png_of(template: str, values: Mapping[str, Any], *, dots_per_inch: float) -> bytes:
    """The only page of a document as a picture."""
    made = typst.compile(
        _source(template),
        format="png",
        ppi=dots_per_inch,
        font_paths=typst_fonts(),
        sys_inputs=_inputs(values),
    )
    assert isinstance(made, bytes), "one page"
    return made


@cache
def _source(template: str) -> bytes:
    return (_TEMPLATES / template).read_bytes()


def _inputs(values: Mapping[str, Any]) -> dict[str, str]:
    return {"data": orjson.dumps(values).decode()}
