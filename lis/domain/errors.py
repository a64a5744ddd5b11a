"""Errors of the laboratory's own rules.

    LisError
    |-- NotFound          what was named does not exist (or may not be seen)
    |-- Refused           the laboratory's rules say no; carries a code that lis.words turns into a sentence
    |   |-- StaleVersion  the row changed since it was shown (S07); carries the fresh version
    |   `-- NotAllowed    the actor's role does not permit this
    `-- Malformed         a value from outside cannot be read; says what was expected, what came and where

Nothing here knows HTTP, SQL or a protocol. `lis.api.problems` holds the one table that maps
these classes to status codes.
"""

from collections.abc import Mapping


class LisError(Exception):
    """Root of everything the laboratory's rules may raise."""


class Refused(LisError):
    """A rule says no. `code` and `parameters` are turned into words by `lis.words`."""

    def __init__(self, code: str, /, **parameters: object) -> None:
        self.code = code
        self.parameters: Mapping[str, object] = parameters
        details = ", ".join(f"{name}={value}" for name, value in parameters.items())
        super().__init__(f"{code}({details})" if details else code)


class StaleVersion(Refused):
    """What the person saw is no longer what is stored."""


class NotAllowed(Refused):
    """The actor's role does not permit this."""


class NotFound(LisError):
    """The thing named does not exist, or the actor may not know that it does."""

    def __init__(self, entity: str, key: object) -> None:
        self.entity = entity
        self.key = key
        super().__init__(f"{entity} {key} does not exist")


class Malformed(LisError):
    """A value from outside cannot be read."""

    def __init__(self, *, expected: str, got: object, where: str) -> None:
        self.expected = expected
        self.got = got
        self.where = where
        super().__init__(f"{where}: expected {expected}, got {got!r}")
