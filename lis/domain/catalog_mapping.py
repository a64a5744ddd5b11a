"""A catalog that knows more of an instrument's codes: which test each code stands for, and its unit.

Pure: a catalog document in, the next version of it out. What a code stood for before is replaced, never kept
beside the new meaning; what the catalog does not know is refused with the words of the catalog's reader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from lis.domain.errors import Malformed

_FORM = "CODE=TEST or CODE=TEST:UNIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMapping:
    """An instrument's code, the test it stands for, and the unit the instrument sends with it."""

    driver: str
    code: str
    test: str
    unit: str
    method: str = ""

    @classmethod
    def parse(cls, text: str, *, driver: str, units: Mapping[str, str], where: str) -> Self:
        """Read `413=ALB:g/L`; without a unit the one that was seen with the code. Raises `Malformed`."""
        code, sign, rest = text.partition("=")
        test, _, unit = rest.partition(":")
        if not (code and sign and test):
            raise Malformed(expected=_FORM, got=text, where=where)
        return cls(driver=driver, code=code, test=test, unit=unit or units.get(code, ""))


def with_mappings(
    document: Mapping[str, Any], mappings: Sequence[CodeMapping], version: str
) -> dict[str, Any]:
    """The catalog document as `version`, with these codes added or changed."""
    replaced = {(entry.driver, entry.code) for entry in mappings}
    kept = [
        entry
        for entry in document.get("instrument_tests", ())
        if (entry.get("driver"), entry.get("code")) not in replaced
    ]
    return {
        **document,
        "version": version,
        "instrument_tests": [*kept, *(asdict(entry) for entry in mappings)],
    }
