"""Codes as modules: strings of 0 and 1, before anything is drawn.

Code 128 by python-barcode, which chooses set C for digits; Data Matrix (ECC 200) by ppf.datamatrix. Both say only
which modules are black. How large a module is and how much white stays around it is for whoever draws them.
"""

from typing import Final

from barcode.codex import Code128
from ppf.datamatrix import DataMatrix

CODE128_QUIET: Final = 10  # modules of white left and right, ISO/IEC 15417
MATRIX_QUIET: Final = 1  # modules of white on all sides, ISO/IEC 16022


class _WholeCode128(Code128):  # type: ignore[misc]  # without types
    """python-barcode 0.16.1 drops a leading "99": in set C it takes that pair for its own "change to set C".

    The tube would carry another number, with a right checksum. Nothing is lost by leaving its saving out.
    """

    def _try_to_optimize(self, encoded: list[int]) -> list[int]:
        return encoded


def code128_modules(text: str) -> str:
    """The bars of a number as "1" (black) and "0", without quiet zones."""
    modules = _WholeCode128(text).build()[0]
    assert set(modules) <= {"0", "1"}
    return str(modules)


def matrix_modules(text: str) -> tuple[str, ...]:
    """The rows of a Data Matrix from top to bottom, without quiet zone."""
    return tuple("".join(str(int(module)) for module in row) for row in DataMatrix(text).matrix)
