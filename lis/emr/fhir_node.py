"""Reading FHIR's JSON without trust: each value is asked for by name and type, each fault says where it stands.

From any JSON only `UnusableFhir` comes out, with all that the sender needs: what was expected, what came, and the
FHIRPath-like place. Unknown elements are left alone, as FHIR asks of receivers; a `modifierExtension` is refused, because it may
turn a meaning around and we know none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lis.domain.ids import KEY_LENGTH_MAX

TEXT_LENGTH_MAX: Final = 4_000
SHOWN_MAX: Final = 60  # of what came, in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One fault, as an OperationOutcome says it."""

    code: str  # of the value set issue-type
    text: str
    where: str = ""


class UnusableFhir(Exception):
    """What came cannot be carried out; `status` is HTTP's."""

    def __init__(self, issue: Issue, status: int = 422) -> None:
        super().__init__(f"{issue.where}: {issue.text}" if issue.where else issue.text)
        self.issue = issue
        self.status = status


def unusable(
    text: str, where: str = "", *, code: str = "invalid", status: int = 422
) -> UnusableFhir:
    """The error for a fault."""
    return UnusableFhir(Issue(code=code, text=text, where=where), status)


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the document and where it stands."""

    data: dict[str, Any]
    where: str

    @property
    def kind(self) -> str:
        """The type of a resource."""
        return self.text("resourceType")

    def text(self, name: str) -> str:
        """A string without surrounding white space; "" when it is not there."""
        value = self.data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        if "\x00" in value:
            raise self._wrong(name, "text without NUL", value)
        if len(value) > TEXT_LENGTH_MAX:
            raise self._wrong(name, f"at most {TEXT_LENGTH_MAX} characters", value)
        return value.strip()

    def key(self, name: str) -> str:
        """A string that is stored as a number or identifier: bounded."""
        value = self.text(name)
        if len(value) > KEY_LENGTH_MAX:
            raise self._wrong(name, f"at most {KEY_LENGTH_MAX} characters", value)
        return value

    def node(self, name: str) -> "Node":
        """An object; an empty one when it is not there."""
        value = self.data.get(name)
        if value is None:
            return Node({}, f"{self.where}.{name}")
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Node(value, f"{self.where}.{name}")

    def nodes(self, name: str) -> Iterator["Node"]:
        """The objects of an array; none when it is not there."""
        value = self.data.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise self._wrong(name, "an array", value)
        for index, one in enumerate(value):
            if not isinstance(one, dict):
                raise self._wrong(f"{name}[{index}]", "an object", one)
            yield Node(one, f"{self.where}.{name}[{index}]")

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of an array."""
        value = self.data.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong(name, "an array", value)
        return tuple(
            text
            for index, one in enumerate(value)
            if (text := Node({"": one}, f"{self.where}.{name}[{index}]").text(""))
        )

    def first(self, name: str) -> "Node":
        """The first object of an array; an empty one when there is none."""
        return next(self.nodes(name), Node({}, f"{self.where}.{name}[0]"))

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        """A code of a list; raises for another one, and for none."""
        value = self.text(name)
        if value not in known:
            raise self._wrong(name, " or ".join(known), value or None, code="value")
        return value

    def check_modifiers(self) -> None:
        """Refuse what may change the meaning in a way that we do not know."""
        if self.data.get("modifierExtension"):
            raise unusable(
                "expected no modifierExtension: its meaning is not known here",
                f"{self.where}.modifierExtension",
                code="extension",
            )

    def _wrong(
        self, name: str, expected: str, got: object, *, code: str = "structure"
    ) -> UnusableFhir:
        where = f"{self.where}.{name}".rstrip(".")
        shown = "nothing" if got is None else repr(got)[:SHOWN_MAX]
        return unusable(f"expected {expected}, got {shown}", where, code=code)


def resource_of(document: object, where: str) -> Node:
    """The object with a resourceType that a body must be."""
    if not isinstance(document, dict):
        raise unusable("expected a JSON object", where, code="structure", status=400)
    node = Node(document, where)
    kind = node.text("resourceType")
    if not kind:
        raise unusable("expected resourceType", where, code="required", status=400)
    return Node(document, kind if where == "body" else where)
