"""Does this message come from the analyzer that belongs to the link (S23)? Pure.

    what the header says                                    what is known of the device
    ----------------------------------------------------    ------------------------------------------
    another serial number                                   the one in lis.toml, else the first it said
    it is plainly another instrument that has a driver      its driver
    another name                                            the first it said

What is not said disagrees with nothing. The first header teaches name and serial number: a cable that is swapped
later is noticed without anybody having entered them.
"""

from dataclasses import dataclass
from enum import StrEnum

from lis.domain.messages import Sender
from lis.domain.result_facts import DeviceFacts


class QuarantineKind(StrEnum):
    """What disagreed."""

    SERIAL = "serial"
    DRIVER = "driver"
    NAME = "name"
    UNIT = "unit"  # of one test, not of the device


ACCEPTABLE = frozenset({QuarantineKind.SERIAL, QuarantineKind.NAME})
"""What a person may declare right from now on. Driver and unit are corrected in lis.toml and the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One disagreement."""

    kind: QuarantineKind
    expected: str
    got: str

    @property
    def reason(self) -> str:
        """As it stands beside the device."""
        return f"{self.kind.value} {self.got}"


def mismatch(device: DeviceFacts, sender: Sender, foreign_driver: str = "") -> Mismatch | None:
    """The first disagreement by the table, or None."""
    serial = device.serial or device.seen_serial
    if serial and sender.serial and sender.serial != serial:
        return Mismatch(kind=QuarantineKind.SERIAL, expected=serial, got=sender.serial)
    if foreign_driver:
        return Mismatch(kind=QuarantineKind.DRIVER, expected=device.driver, got=foreign_driver)
    if device.seen_name and sender.name and sender.name != device.seen_name:
        return Mismatch(kind=QuarantineKind.NAME, expected=device.seen_name, got=sender.name)
    return None


def learned(device: DeviceFacts, sender: Sender) -> dict[str, str]:
    """What a header that disagrees with nothing teaches about the device."""
    taught = {
        "seen_name": sender.name if not device.seen_name else "",
        "seen_serial": sender.serial if not device.seen_serial else "",
    }
    return {field: text for field, text in taught.items() if text}
