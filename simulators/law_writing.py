"""A LAW profile read backwards: measured values as OUL^R22, a question as QBP^Q11.

    MSH SPM SAC [INV] { OBR ORC { OBX [TCD] } }        one OBR for each test that can be ordered

The shape of ids, codes and coding systems comes from the profile's `LawStyle`, so the driver that reads by the same data
could hide a symmetrical mistake: captures and the foreign analyzer of the tests judge it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lis.drivers.law_style import LawStyle
from lis.wire.hl7_writer import Value, segment
from lis.wire.law_messages import Head, Row, Specimen, query, results
from lis.wire.law_messages import Run as StepRun
from simulators.measuring import Measured

if TYPE_CHECKING:
    from simulators.writing import Instrument, Run

__all__ = ["law_query", "law_report"]

FLAG_TABLE = "HL70078"
CONTROL_MARK = "CONTROL"


def law_report(
    instrument: "Instrument", run: "Run", *, sent_at: datetime, control_id: str
) -> bytes:
    """The message that reports one container."""
    style = _style(instrument)
    steps: dict[str, list[Measured]] = {}
    for row in run.rows:
        steps.setdefault(_ordered(instrument, row.code), []).append(row)
    written = [
        StepRun(
            step_id=run.steps.get(code, ""),
            test=(code, "", style.coding),
            rows=tuple(_row(instrument, run, row) for row in rows),
        )
        for code, rows in steps.items()
    ]
    head = _head(instrument, sent_at, control_id, ("LAB-29", "IHE"))
    return _own_ways(instrument, results(head, _specimen(instrument, run), written))


def law_query(
    instrument: "Instrument", specimen: str, *, sent_at: datetime, control_id: str
) -> bytes:
    """The question for one container, in the instrument's own words where it has some."""
    style = _style(instrument)
    own = sorted(style.container_queries - {"WOS"})
    name: Value = (own[0], "", style.coding) if own else ("WOS", "Work Order Step", "IHELAW")
    head = _head(instrument, sent_at, control_id, style.query_profile)
    return _own_ways(
        instrument, query(head, tag=f"query{control_id}", container=specimen, name=name)
    )


def _style(instrument: "Instrument") -> LawStyle:
    assert instrument.profile.law is not None, "only LAW instruments write LAW"
    return instrument.profile.law


def _head(
    instrument: "Instrument", at: datetime, control_id: str, profile: tuple[str, str]
) -> Head:
    return Head(
        control_id=control_id,
        at=at.astimezone(instrument.zone),
        sending=(instrument.identity.name, instrument.model.always.get("MSH-4", "")),
        receiving=("host", ""),
        profile=profile,
    )


def _own_ways(instrument: "Instrument", payload: bytes) -> bytes:
    """MSH-15 and ORC-1 where this maker has others."""
    always = instrument.model.always
    if wanted := always.get("MSH-15"):
        payload = payload.replace(b"|NE|AL|", f"|{wanted}|AL|".encode(), 1)
    if wanted := always.get("ORC-1"):
        payload = payload.replace(b"\rORC|SC|", f"\rORC|{wanted}|".encode())
    return payload


def _specimen(instrument: "Instrument", run: "Run") -> Specimen:
    style, control = _style(instrument), run.control
    mark = CONTROL_MARK if control is not None and style.sac_mark else style.spm_mark
    entity: Value = ((run.specimen, mark),) if mark else run.specimen
    container: Value = run.specimen
    if style.sac_mark:
        container = (run.specimen, CONTROL_MARK if control is not None else style.sac_mark)
    behind: tuple[str, ...] = ()
    if control is not None:
        material = (control.material or run.specimen, control.level, style.coding)
        inventory = segment("INV", material, ("OK", "", "HL70383"), ("CO", "", "HL70384"))
        behind = (inventory,)
    return Specimen(
        entity=entity if style.names_in_spm else None,
        container=container if style.names_in_sac else None,
        role="P" if control is None else "Q",
        behind=behind,
    )


def _ordered(instrument: "Instrument", code: str) -> str:
    until = instrument.profile.orders.code_until
    return code.split(until, 1)[0] if until else code


def _row(instrument: "Instrument", run: "Run", row: Measured) -> Row:
    style = _style(instrument)
    is_joint = "+" in instrument.profile.fields.test
    code = row.code.rpartition("^")[2] if is_joint else row.code
    return Row(
        kind="ST" if not row.text[:1].isdigit() else "NM",
        code=(code, row.name or code, style.coding),
        value=row.text,
        sub_id=str(run.number) if instrument.profile.fields.run else "",
        unit=(row.unit, "", style.coding) if row.unit else None,
        interval=row.interval,
        flags=_flags(instrument, row.flags),
        operator=_repeated(instrument.model.always.get("OBX-16", "operator")),
        equipment=_repeated(instrument.model.always.get("OBX-18", "")),
        at=f"{run.at.astimezone(instrument.zone):%Y%m%d%H%M%S}",
    )


def _flags(instrument: "Instrument", flags: Sequence[str]) -> Value:
    spelled = [instrument.model.flags.get(flag, flag) for flag in flags]
    written = [(flag, "", FLAG_TABLE) for flag in spelled if flag]
    return written or '""'


def _repeated(text: str) -> Value:
    return [tuple(repeat.split("^")) for repeat in text.split("~")] if text else None
