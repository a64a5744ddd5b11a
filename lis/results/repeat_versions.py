"""How a version of the rules comes into force: one person proposes, the count over history is seen, another approves.

    propose    the document is read, its tests are in the catalog, every case beside a rule does what it says
    count      what it would have done to the last days (`lis.results.repeat_dry_run`), kept on the proposal
    approve    by a second person, only after the count; from then on, or from its date, it is in force
    withdraw   with a reason

Stopping is safe, so one person stops a rule, or all, at once; starting again needs a reason, too.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.repeat_document import read_repeat_rules
from lis.domain.repeat_rules import PROPOSAL, ProposalEvent, ProposalState, RepeatRules
from lis.results.desk import needed
from lis.results.repeat_dry_run import DryRun
from lis.results.repeat_facts import range_of
from lis.results.repeating import fires_in_case
from lis.store.definitions import DefinitionKind, put_definition
from lis.store.repeat_queries import (
    is_version_taken,
    proposal_by_id,
    repeat_rules_in_force,
    stop_of,
)
from lis.store.repeat_rows import RepeatProposal, RepeatStop
from lis.store.unit import Unit


def check_rules(document: Mapping[str, Any], catalog: Catalog) -> RepeatRules:
    """Read a version and run the cases beside its rules; raises `Malformed`, or `Refused` for a case."""
    rules = read_repeat_rules(document, catalog)
    for rule in rules.rules:
        limits = range_of(catalog.tests.get(rule.test))
        for case in rule.cases:
            if fires_in_case(rule, case, limits) is not case.fires:
                expected = "fires" if case.fires else "silent"
                raise Refused(f"repeatpage.case_{expected}", rule=rule.id, value=case.value)
    return rules


def propose(
    unit: Unit,
    catalog: Catalog,
    document: Mapping[str, Any],
    *,
    effective_from: datetime | None = None,
) -> RepeatProposal:
    """Keep a checked version for a second person, by `unit.actor`."""
    rules = check_rules(document, catalog)
    if is_version_taken(unit.session, rules.version):
        raise Refused("repeatpage.version_taken", version=rules.version)
    if effective_from is not None and effective_from < unit.now:
        raise Refused("repeatpage.effective_in_past", at=effective_from.isoformat())
    made = RepeatProposal(
        version=rules.version,
        body=dict(document),
        author=unit.actor,
        created_at=unit.now,
        effective_from=effective_from or unit.now,
    )
    unit.session.add(made)
    unit.session.flush()
    unit.audit("propose", "repeat_proposal", made.id, after={"version": made.version})
    unit.publish("definition", DefinitionKind.REPEAT.value)
    return made


def count_proposal(unit: Unit, proposal_id: int, counted: DryRun) -> RepeatProposal:
    """Keep on the proposal what it would have done; `counted` was read before, outside the write lock."""
    row = _proposal(unit, proposal_id)
    if row.version != counted.version or row.state is not ProposalState.PROPOSED:
        raise Refused("repeatpage.already_decided", version=row.version)
    row.dry_run, row.dry_run_at = counted.document(), unit.now
    row.row_version += 1
    unit.audit("dry_run", "repeat_proposal", row.id, after={"extra": counted.extra_per_day})
    return row


def approve(unit: Unit, catalog: Catalog, proposal_id: int, *, seen: int) -> RepeatProposal:
    """Put a proposed version in force; by a person who did not write it, and who could see the count."""
    row = _seen(unit, proposal_id, seen)
    if row.author == unit.actor:
        raise Refused("repeatpage.second_person", author=row.author)
    if row.dry_run is None:
        raise Refused("repeatpage.count_first", version=row.version)
    rules = check_rules(row.body, catalog)  # the catalog may have changed since
    _decide(unit, row, ProposalEvent.APPROVE, "")
    put_definition(
        unit,
        DefinitionKind.REPEAT,
        row.version,
        row.body,
        max(row.effective_from, unit.now),
        unit.actor,
        [case for rule in row.body.get("rules", ()) for case in rule.get("cases", ())],
        author=row.author,
    )
    unit.audit(
        "approve",
        "repeat_proposal",
        row.id,
        after={"version": rules.version, "author": row.author, "approver": unit.actor},
    )
    return row


def withdraw(unit: Unit, proposal_id: int, *, seen: int, reason: str) -> RepeatProposal:
    """Give a proposed version up, with a reason."""
    text = needed(reason)
    row = _seen(unit, proposal_id, seen)
    _decide(unit, row, ProposalEvent.WITHDRAW, text)
    unit.audit("withdraw", "repeat_proposal", row.id, after={"reason": text})
    return row


def stop(unit: Unit, *, rule: str, reason: str) -> RepeatStop:
    """Press the stop switch of a rule, or ("") of all, at once."""
    text = needed(reason)
    rules = repeat_rules_in_force(unit.session, unit.now)
    if rule and rule not in rules.ids:
        raise NotFound("rule in force", rule)
    if stop_of(unit.session, rule) is not None:
        raise Refused("repeatpage.already_stopped", rule=rule)
    made = RepeatStop(rule=rule, stopped_at=unit.now, stopped_by=unit.actor, reason=text)
    unit.session.add(made)
    unit.session.flush()
    unit.audit("stop", "repeat_rule", rule or "all", after={"reason": text})
    unit.publish("definition", DefinitionKind.REPEAT.value)
    return made


def resume(unit: Unit, *, rule: str, reason: str) -> RepeatStop:
    """Let a stopped rule, or all, speak again, with a reason."""
    text = needed(reason)
    row = stop_of(unit.session, rule)
    if row is None:
        raise Refused("repeatpage.not_stopped", rule=rule)
    row.resumed_at, row.resumed_by, row.resume_reason = unit.now, unit.actor, text
    unit.audit("resume", "repeat_rule", rule or "all", after={"reason": text})
    unit.publish("definition", DefinitionKind.REPEAT.value)
    return row


def _proposal(unit: Unit, proposal_id: int) -> RepeatProposal:
    row = proposal_by_id(unit.session, proposal_id)
    if row is None:
        raise NotFound("proposed rules", proposal_id)
    return row


def _seen(unit: Unit, proposal_id: int, seen: int) -> RepeatProposal:
    row = _proposal(unit, proposal_id)
    if row.row_version != seen:
        raise StaleVersion("repeatpage.changed", version=row.version)
    return row


def _decide(unit: Unit, row: RepeatProposal, event: ProposalEvent, words: str) -> None:
    if not PROPOSAL.allows(row.state, event) or row.state is not ProposalState.PROPOSED:
        raise Refused("repeatpage.already_decided", version=row.version)
    row.state = PROPOSAL.apply(row.state, event)
    row.decided_by, row.decided_at, row.decision = unit.actor, unit.now, words
    row.row_version += 1
    unit.publish("definition", DefinitionKind.REPEAT.value)
