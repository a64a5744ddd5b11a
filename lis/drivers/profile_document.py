"""A `Profile` as a TOML document, and back: how an instrument becomes known without a line of code.

The document has the names of `lis.drivers.profile`; what it leaves out has the default of the profile, which is
what the standard says:

    key = "maker-model"
    name = "Maker Model"
    protocol = "astm"
    version = "1"
    identity = [[{ path = "H.5.1", pattern = "Model" }]]
    evidence = [{ grade = "capture", source = "recorded on 3 March at the bench" }]

    [fields]
    specimen = "O.3.1"
    ...
    [flags]
    H = "outside_interval"

The form is read off the types of the profile, so a field that is added there can be written here at once. It is
read strictly: a key that nobody knows, a place that is none, a pattern that does not compile or an enum that
has no such member raises `Malformed` with file, key, what was expected and what stood there. A misspelt key would
otherwise be a control that is taken for a patient. What only a function can say has no place in a document.
"""

import codecs
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from lis.domain.errors import Malformed
from lis.domain.messages import Protocol
from lis.drivers.expressions import Expression
from lis.drivers.field_rule import FieldRule
from lis.drivers.profile import FieldMap, Profile, Query, ReadMode
from lis.wire.errors import LocalProtocolError

KEY: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
KEY_CHARACTERS_MAX: Final = 60  # it names a folder
PATTERN_CHARACTERS_MAX: Final = 500  # a rule about one field; longer is no rule a person can check
DOCUMENT_CHARACTERS_MAX: Final = 1_000_000

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_PLACES: Final[Mapping[type, frozenset[str]]] = {
    FieldMap: frozenset(field.name for field in fields(FieldMap)),
    ReadMode: frozenset({"path"}),
    Query: frozenset({"specimen"}),
}
"""Texts that must be expressions over field paths."""
_RECORD: Final = {Protocol.ASTM: re.compile(r"[A-Z]\."), Protocol.HL7: re.compile(r"[A-Z0-9]{3}-")}
_PLACE_EXAMPLE: Final = {Protocol.ASTM: "R.3.4", Protocol.HL7: "OBX-3.1"}


# ------------------------------------------------------------------------------------- reading


def read_profile(text: str, *, where: str) -> Profile:
    """The profile that the document describes; raises `Malformed` with `where` and the key."""
    if len(text) > DOCUMENT_CHARACTERS_MAX:
        raise Malformed(
            expected=f"at most {DOCUMENT_CHARACTERS_MAX} characters", got=len(text), where=where
        )
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(expected="TOML", got=str(error), where=where) from error
    profile = _dataclass(Profile, document, f"{where}: ")
    assert isinstance(profile, Profile)
    check_profile(profile, where=where)
    return profile


def check_profile(profile: Profile, *, where: str) -> None:
    """What types alone cannot say; raises `Malformed`."""
    if not KEY.fullmatch(profile.key) or len(profile.key) > KEY_CHARACTERS_MAX:
        expected = "small letters, digits and single hyphens, such as maker-model"
        raise Malformed(expected=expected, got=profile.key, where=f"{where}: key")
    for name in ("name", "version"):
        if not getattr(profile, name).strip():
            raise Malformed(expected="a text that is not empty", got="", where=f"{where}: {name}")
    if not profile.evidence or not all(entry.source.strip() for entry in profile.evidence):
        expected = "at least one entry, each with a source"
        raise Malformed(expected=expected, got=profile.evidence, where=f"{where}: evidence")
    for name in ("specimen", "test", "value"):
        if not getattr(profile.fields, name).strip():
            raise Malformed(expected="a place", got="", where=f"{where}: fields.{name}")
    _check_charsets(profile, where)
    _check_places(profile, where)


def _check_charsets(profile: Profile, where: str) -> None:
    for charset in profile.charsets:
        try:
            codecs.lookup(charset)
        except LookupError as error:
            expected = "charsets that Python knows, such as utf-8 or cp1251"
            raise Malformed(expected=expected, got=charset, where=f"{where}: charsets") from error


def _check_places(profile: Profile, where: str) -> None:
    """A place in a record that the protocol does not have is never found: a control would be a patient."""
    form = _RECORD.get(profile.protocol)
    if form is None:
        return
    places = [
        (f"fields.{field.name}", part)
        for field in fields(FieldMap)
        for part in re.split(r"[\s+]+", getattr(profile.fields, field.name))
        if part
    ]
    places += [("identity", rule.path) for group in profile.identity for rule in group]
    places += [("controls", rule.path) for rule in profile.controls]
    places += [("rows", rule.path) for _, rule in profile.rows]
    places += [("read_mode.path", part) for part in profile.read_mode.path.split()]
    for name, place in places:
        if not form.match(place):
            example = _PLACE_EXAMPLE[profile.protocol]
            expected = f"a place of {profile.protocol.value.upper()}, such as {example}"
            raise Malformed(expected=expected, got=place, where=f"{where}: {name}")


def _read(kind: Any, value: object, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return _read(inner, value, where)
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is frozenset:
        return frozenset(_tuple((arguments[0], ...), value, where))
    if origin is not None and issubclass(origin, Mapping):
        table = _expect(dict, "a table", value, where)
        return {name: _read(arguments[1], item, f"{where}.{name}") for name, item in table.items()}
    if kind in _SCALARS:
        return _SCALARS[kind](value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, f"{where}.")
    expected = "nothing: only a driver written in Python can say this"
    raise Malformed(expected=expected, got=value, where=where)


def _dataclass(kind: type, value: object, prefix: str) -> Any:
    where = prefix.rstrip(".: ")
    table = _expect(dict, "a table", value, where)
    known = {field.name: field for field in _sayable(kind)}
    for name in table:
        if name not in known:
            raise Malformed(expected=f"one of {', '.join(known)}", got=name, where=where)
    hints = typing.get_type_hints(kind)
    read: dict[str, Any] = {}
    for name, field in known.items():
        if name in table:
            read[name] = _read(hints[name], table[name], prefix + name)
            if name in _PLACES.get(kind, ()):
                _check_expression(read[name], prefix + name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Malformed(expected="a value", got="nothing", where=prefix + name)
    made = kind(**read)
    if isinstance(made, FieldRule):
        _check_rule(made, prefix)
    return made


def _sayable(kind: type) -> list[Field[Any]]:
    return [field for field in fields(kind) if field.init]


def _tuple(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    items = _expect(list, "a list", value, where)
    if arguments[-1] is not ... and len(items) != len(arguments):
        raise Malformed(expected=f"a list of {len(arguments)}", got=items, where=where)
    kinds = [arguments[0]] * len(items) if arguments[-1] is ... else arguments
    return tuple(
        _read(kind, item, f"{where}[{number}]")
        for number, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _member(kind: type[Enum], value: object, where: str) -> Enum:
    known = {_name_of(member): member for member in kind}
    if not isinstance(value, str) or value not in known:
        raise Malformed(expected=f"one of {', '.join(known)}", got=value, where=where)
    return known[value]


def _name_of(member: Enum) -> str:
    return str(member.value) if isinstance(member, StrEnum) else member.name.lower()


def _check_expression(text: str, where: str) -> None:
    try:
        Expression.parse(text)
    except LocalProtocolError as error:
        raise Malformed(expected=f"places of fields ({error})", got=text, where=where) from error


def _check_rule(rule: FieldRule, prefix: str) -> None:
    _check_expression(rule.path, prefix + "path")
    if len(rule.pattern) > PATTERN_CHARACTERS_MAX:
        expected = f"at most {PATTERN_CHARACTERS_MAX} characters"
        raise Malformed(expected=expected, got=len(rule.pattern), where=prefix + "pattern")
    try:
        re.compile(rule.pattern)
    except re.error as error:
        expected = f"a regular expression ({error})"
        raise Malformed(expected=expected, got=rule.pattern, where=prefix + "pattern") from error


def _expect(kind: type, words: str, value: object, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Malformed(expected=words, got=value, where=where)
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return float(_expect(float, "a number", value, where))


def _bytes(value: object, where: str) -> bytes:
    text = _expect(str, "bytes as pairs of hexadecimal digits", value, where)
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Malformed(
            expected="bytes as pairs of hexadecimal digits", got=text, where=where
        ) from error


_SCALARS: Final[Mapping[type, Callable[[object, str], Any]]] = {
    str: lambda value, where: _expect(str, "a text", value, where),
    bool: lambda value, where: _expect(bool, "true or false", value, where),
    int: lambda value, where: _expect(int, "a whole number", value, where),
    float: _number,
    bytes: _bytes,
}


# ------------------------------------------------------------------------------------- writing


def write_profile(profile: Profile, *, remarks: str = "") -> str:
    """The document: `read_profile` gives the same profile again. `remarks` stand above it as comments.

    Raises `Malformed` for a profile that needs a function.
    """
    document = _plain(profile, profile.key)
    lines = [f"# {line}".rstrip() for line in remarks.splitlines()]
    tables = {name: item for name, item in document.items() if isinstance(item, dict)}
    lines += [_line(name, item) for name, item in document.items() if name not in tables]
    for name, table in tables.items():
        lines += _table(name, table)
    return "\n".join(lines) + "\n"


def _plain(value: object, where: str) -> Any:
    """The value in the kinds that TOML has; fields that have their default are left out."""
    match value:
        case Enum():
            return _name_of(value)
        case str() | bool() | int() | float():
            return value
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): _plain(item, f"{where}.{name}") for name, item in value.items()}
        case frozenset():
            return sorted(_plain(item, where) for item in value)
        case tuple():
            return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
        case _:
            pass
    if not is_dataclass(value) or isinstance(value, type):
        raise Malformed(expected="what a document can say", got=type(value).__name__, where=where)
    return {
        field.name: _plain(getattr(value, field.name), f"{where}.{field.name}")
        for field in _sayable(type(value))
        if not _has_default(value, field)
    }


def _has_default(value: object, field: Field[Any]) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    own = getattr(value, field.name)
    if isinstance(own, Mapping) and isinstance(default, Mapping):
        return dict(own) == dict(default)
    return bool(own == default)


def _table(name: str, table: dict[str, Any]) -> list[str]:
    """A table, and the tables in it below it."""
    inner = {key: item for key, item in table.items() if isinstance(item, dict)}
    lines = ["", f"[{name}]"]
    lines += [_line(key, item) for key, item in table.items() if key not in inner]
    for key, item in inner.items():
        lines += _table(f"{name}.{_key(key)}", item)
    return lines


def _line(key: str, value: Any) -> str:
    if isinstance(value, list) and len(value) > 1 and not isinstance(value[0], str):
        items = "".join(f"\n  {_inline(item)}," for item in value)
        return f"{_key(key)} = [{items}\n]"
    return f"{_key(key)} = {_inline(value)}"


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case list():
            return "[" + ", ".join(_inline(item) for item in value) + "]"
        case dict():
            inside = ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            raise AssertionError(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """JSON's escapes are TOML's; DEL alone must be escaped here too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
