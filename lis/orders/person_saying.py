"""What a hospital said of a person, field by field: pure.

`""` in a message deletes, an empty field keeps. For each field the newest stamp counts, a deletion like a value, so that
messages may come in any order and any number of times. What nobody said in an ADT message stays what an order or a form told us.
"""

from collections.abc import Mapping
from typing import Any, Final

from lis.domain.errors import Refused

FIELDS: Final = ("family_name", "given_name", "middle_name", "birth_date", "sex")
UNKNOWN_SEX: Final = "U"


def hear_person(
    said: Mapping[str, Any], stamp: str, fields: Mapping[str, str]
) -> dict[str, list[str]]:
    """The registers after one more message; `fields` holds only what the message says, "" for a deletion."""
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise Refused("identitypage.unknown_field", fields=sorted(unknown))
    heard = {field: [str(at), str(value)] for field, (at, value) in said.items()}
    for field, value in fields.items():
        heard[field] = max(heard.get(field, ["", ""]), [stamp, value])
    return heard


def fields_of(said: Mapping[str, Any]) -> dict[str, str]:
    """What is true by the registers; a deleted sex is unknown, not nothing."""
    return {
        field: value or (UNKNOWN_SEX if field == "sex" else "")
        for field, (_, value) in said.items()
    }
