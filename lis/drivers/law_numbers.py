"""Numbers and ratios as LAW analyzers write them."""

import re
from decimal import Decimal, DivisionByZero, InvalidOperation

from lis.drivers.law_style import LawStyle

_RATIO = re.compile(r"(?P<first>[0-9.]{1,12})\^(?P<sign>[:/])\^(?P<second>[0-9.]{1,12})")
_GROUPED = re.compile(r"(?P<sign>[<>]=?\s*)?(?P<head>[0-9]{1,3})(?P<tail>(?:[^0-9][0-9]{3})+)")
_WITH_UNIT = re.compile(r"(?P<number>(?:[<>]=?\s*)?[0-9.]+(?:[eE][+-]?[0-9]{1,3})?)\s+[^\s0-9].*")


def plain_number(text: str, style: LawStyle) -> str:
    """A number without its unit and without signs between its thousands; other text as it is."""
    if style.has_unit_in_value and (match := _WITH_UNIT.fullmatch(text)):
        text = match["number"]
    if style.thousands and (match := _GROUPED.fullmatch(text)):
        tail = match["tail"]
        if set(tail) - set("0123456789") == {style.thousands}:
            text = (match["sign"] or "") + match["head"] + tail.replace(style.thousands, "")
    return text


def ratio(text: str) -> Decimal | None:
    """The factor of `^1^:^10`; None for text that is none."""
    match = _RATIO.fullmatch(text.strip().lstrip("^"))
    if match is None:
        return None
    try:
        factor = Decimal(match["second"]) / Decimal(match["first"])
    except (InvalidOperation, DivisionByZero):
        return None
    return factor if factor > 0 else None
