"""Turn codes and parameters into sentences, in Russian and in English.

Decisions and verdicts carry a code and parameters; only here do they become words. Each language is a
folder of TOML files, one file an area (`results.toml`, `qc.toml`); the key of a message is the area
and its name: `results.reason.unknown_specimen`. A message may have plural forms, chosen by the
parameter `count`:

    "rows.one" = "{count} row"
    "rows.other" = "{count} rows"

Both languages must hold the same keys; a test fails on a missing key, on different parameters and on
an identical sentence that is not in the reviewed list. A key that does not exist shows itself as the key:
a screen with a raw key is a defect that a person can report, an exception would be a blank page.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("ru", "en")
_FOLDER = Path(__file__).parent


@cache
def messages(language: str) -> Mapping[str, str]:
    """All messages of one language: `area.key` -> text."""
    found: dict[str, str] = {}
    for path in sorted((_FOLDER / language).glob("*.toml")):
        with path.open("rb") as file:
            _flatten(path.stem, tomllib.load(file), found)
    return found


def _flatten(prefix: str, table: Mapping[str, object], into: dict[str, str]) -> None:
    for key, value in table.items():
        name = f"{prefix}.{key}"
        if isinstance(value, Mapping):
            _flatten(name, value, into)
        else:
            into[name] = str(value)


def all_keys() -> frozenset[str]:
    """Every key that any language holds."""
    return frozenset().union(*(messages(language) for language in LANGUAGES))


def plural_form(language: str, count: int) -> str:
    """The CLDR plural category of a whole number: one, few, many or other."""
    if language != "ru":
        return "one" if count == 1 else "other"
    last, last_two = count % 10, count % 100
    if last == 1 and last_two != 11:
        return "one"
    if 2 <= last <= 4 and not 12 <= last_two <= 14:
        return "few"
    return "many"


class _Shown(dict[str, object]):
    """Leaves an unknown parameter visible instead of failing the page."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def say(language: str, key: str, /, **parameters: object) -> str:
    """The sentence for `key` in `language`; plural by `count`; the key itself if unknown."""
    table = messages(language if language in LANGUAGES else "en")
    text = table.get(key)
    count = parameters.get("count")
    if text is None and isinstance(count, int):
        form = plural_form(language, count)
        text = table.get(f"{key}.{form}") or table.get(f"{key}.other") or table.get(f"{key}.many")
    if text is None:
        return key
    return text.format_map(_Shown(parameters)) if "{" in text else text


@dataclass(frozen=True, slots=True)
class Words:
    """One language, ready to speak: what pages and reports are given."""

    language: str

    def __call__(self, key: str, /, **parameters: object) -> str:
        return say(self.language, key, **parameters)

    def has(self, key: str) -> bool:
        """Whether this language knows the key."""
        return key in messages(self.language)

    def area(self, *areas: str) -> dict[str, str]:
        """All messages of some areas: what a script in the browser is given."""
        table = messages(self.language)
        return {key: text for key, text in table.items() if key.split(".", 1)[0] in areas}
