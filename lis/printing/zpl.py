"""ZPL II around a bitmap: what a label printer is sent on port 9100.

The whole label is one graphic field (`^GFA`), text included: a printer's own fonts rarely know Cyrillic, and what
was shown is what is burned. Nothing of a patient's data is ever ZPL text, so no name can be a command.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

COPIES_MAX: Final = 20  # more is a slip of the finger on a keyboard


def zpl_of(dots: NDArray[np.bool_], *, copies: int = 1) -> bytes:
    """One label format; `dots` rows from the top, True is black."""
    if not 1 <= copies <= COPIES_MAX:
        raise ValueError(f"expected 1 to {COPIES_MAX} copies, got {copies}")
    height, width = dots.shape
    packed = np.packbits(dots, axis=1)  # each row fills whole bytes with white
    row_bytes = packed.shape[1]
    data = packed.tobytes().hex().upper()
    return (
        f"^XA^CI28^PW{width}^LL{height}^LH0,0^FO0,0"
        f"^GFA,{len(data) // 2},{len(data) // 2},{row_bytes},{data}^FS^PQ{copies}^XZ\n"
    ).encode("ascii")


def dots_of(zpl: bytes) -> NDArray[np.bool_]:
    """The bitmap of a label format that `zpl_of` made: for tests and for the demo's printer."""
    text = zpl.decode("ascii")
    width = int(text.split("^PW")[1].split("^")[0])
    field = text.split("^GFA,")[1].split("^FS")[0]
    _, total, row_bytes, data = field.split(",")
    rows = np.frombuffer(bytes.fromhex(data), dtype=np.uint8).reshape(-1, int(row_bytes))
    assert rows.size == int(total)
    return np.unpackbits(rows, axis=1)[:, :width].astype(bool)
