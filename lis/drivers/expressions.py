"""Expressions over field paths: how a profile says where a value stands.

    "R.13 O.23"       the first path that is not empty
    "R.3.2+R.3.4"     parts joined by ^; empty parts at the start are left out

An expression is compiled once for each profile. It reads from a `Scope`: the records that stand above
the row being read (its order, its patient, its header), so that one expression may name any of them.
"""

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Protocol, Self

from lis.drivers.profile import CODE_JOINT, FieldMap, FieldRule
from lis.wire.path import FieldPath

FIELD_MAPS_REMEMBERED = 128  # one a profile
RULES_REMEMBERED = 512


class Scope(Protocol):
    """The open records around one row."""

    def text(self, path: FieldPath) -> str:
        """The text at `path`; "" where the record or the field is not there."""
        ...

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        """The repeats of the field at `path` as text."""
        ...


@dataclass(frozen=True, slots=True)
class Expression:
    """Alternatives, each a list of parts to be joined."""

    alternatives: tuple[tuple[FieldPath, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression; raises `LocalProtocolError` for a path that is none."""
        return cls(
            tuple(
                tuple(FieldPath.parse(part) for part in alternative.split("+"))
                for alternative in text.split()
            )
        )

    def read(self, scope: Scope) -> str:
        """The first alternative with text, exactly as sent."""
        for parts in self.alternatives:
            if len(parts) == 1:
                text = scope.text(parts[0])
            else:
                text = CODE_JOINT.join(scope.text(part) for part in parts).lstrip(CODE_JOINT)
            if text:
                return text
        return ""

    def read_all(self, scope: Scope) -> str:
        """All parts, empty ones too: the second half of a code keeps its shape."""
        parts = self.alternatives[0] if self.alternatives else ()
        return CODE_JOINT.join(scope.text(part) for part in parts)

    def read_repeats(self, scope: Scope) -> tuple[str, ...]:
        """The repeats of every alternative together, empty ones left out."""
        return tuple(
            text for parts in self.alternatives for text in scope.repeats(parts[0]) if text.strip()
        )


@lru_cache(maxsize=FIELD_MAPS_REMEMBERED)
def compiled(field_map: FieldMap) -> dict[str, Expression]:
    """Every field of the map as an `Expression`, by name."""
    names = [field.name for field in fields(field_map)]
    return {name: Expression.parse(getattr(field_map, name)) for name in names}


@lru_cache(maxsize=RULES_REMEMBERED)
def _compiled_rule(rule: FieldRule) -> tuple[FieldPath, re.Pattern[str]]:
    return FieldPath.parse(rule.path), re.compile(rule.pattern, re.DOTALL)


def holds_true(rule: FieldRule, scope: Scope) -> bool:
    """Whether the whole text at the rule's path matches its pattern; blanks around it are no matter."""
    path, pattern = _compiled_rule(rule)
    return pattern.fullmatch(scope.text(path).strip()) is not None
