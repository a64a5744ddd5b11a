"""State machines as tables.

A machine is an `Enum` of states, an `Enum` of events and one table. Rules of this file:

* a state changes only through `StateTable.apply`;
* an event that changes nothing in a state stands in the table as `IGNORE`, so that nobody has to
  guess whether it was forgotten;
* an event that is missing from the table raises `ImpossibleTransition`: it is our bug or a refused
  request, never a silent no-op.

The diagrams in the documentation are drawn from these tables (`StateTable.mermaid`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from lis.domain.errors import Refused

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class Ignore(Enum):
    """Marks a table cell whose event is expected and changes nothing."""

    IGNORE = "ignore"


IGNORE: Final = Ignore.IGNORE


class ImpossibleTransition(Refused):
    """The table holds no cell for this state and event."""


@dataclass(frozen=True, slots=True)
class StateTable(Generic[S, E]):
    """The transitions of one machine: `(state, event) -> next state | IGNORE`."""

    name: str
    transitions: Mapping[tuple[S, E], S | Ignore]

    def apply(self, state: S, event: E) -> S:
        """Return the state after `event`; raise `ImpossibleTransition` for a missing cell."""
        target = self.transitions.get((state, event))
        if target is None:
            raise ImpossibleTransition(
                "impossible_transition", machine=self.name, state=state.value, event=event.value
            )
        return state if isinstance(target, Ignore) else target

    def allows(self, state: S, event: E) -> bool:
        """Whether the table holds a cell for this state and event."""
        return (state, event) in self.transitions

    def mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram; ignored events are left out."""
        lines = ["stateDiagram-v2"]
        for (state, event), target in self.transitions.items():
            if not isinstance(target, Ignore):
                lines.append(f"    {state.value} --> {target.value}: {event.value}")
        return "\n".join(lines)
