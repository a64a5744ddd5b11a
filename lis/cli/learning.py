"""`lis message --learn`: a driver from captures, confirmed question by question.

With a terminal every question is shown with the records that speak for its answer; Enter takes the answer, other
text changes it. For scripts: `--json` prints the proposal and saves nothing, `--yes` takes all answers, and
`--confirm NAME=ANSWER` gives one. The driver is written into the folder of learned drivers, from which `lis serve`
loads it at its next start.
"""

import getpass
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path

import typer

from lis.app.clock import SystemClock
from lis.cli.message_tables import print_tables
from lis.cli.output import DONE, USAGE, emit_json, note, say_line
from lis.domain.errors import Malformed
from lis.drivers import registry
from lis.drivers.learned_files import protocol_of_files, remarks_of, save_driver
from lis.drivers.learned_profile import (
    UNSTATED,
    Proposal,
    evidence_of,
    is_letter,
    profile_from,
    propose,
)
from lis.drivers.learning_evidence import Question
from lis.drivers.message_lab import documents_of, read_lab
from lis.drivers.profile import Profile
from lis.wire.redaction import NotRedactable
from lis.words import say

LANGUAGE = "en"  # as all commands speak


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the options of the command say."""

    key: str
    name: str
    source: str
    is_from_instrument: bool
    confirmed: tuple[str, ...]
    takes_all: bool
    folder: Path


def drivers_folder(folder: Path | None, config: Path) -> Path:
    """The folder that was named, else the one of the configuration, else `drivers` where we are."""
    from lis.cli.opening import read_settings

    if folder is not None:
        return folder
    return Path(read_settings(config).drivers.folder) if config.exists() else Path("drivers")


def use_drivers(folder: Path) -> None:
    """Know what was learned before; raises `Malformed` for a broken document."""
    registry.use_folder(folder if folder.is_dir() else None)


def learn_driver(files: Sequence[Path], wish: Wish, *, as_json: bool) -> int:
    """Propose, ask, save; the exit code."""
    try:
        captures = [path.read_bytes() for path in files]
        protocol, units = protocol_of_files(captures)
        answers = _confirmed(wish.confirmed)
        proposal = propose(protocol, units, answers)
        if as_json and not wish.takes_all:
            emit_json(asdict(proposal))
            return DONE
        if not wish.takes_all:
            proposal, wish = _ask(proposal, units, answers, wish)
        profile = profile_from(
            proposal,
            key=wish.key,
            name=wish.name or wish.key,
            evidence=evidence_of(wish.source, is_from_instrument=wish.is_from_instrument),
        )
        if not wish.takes_all and not _is_wanted(profile, captures):
            note("Nothing was saved.")
            return DONE
        remarks = remarks_of(proposal.codes, _person())
        written = save_driver(wish.folder, profile, captures, remarks=remarks)
    except (OSError, Malformed, NotRedactable) as error:
        note(str(error))
        return USAGE
    _report(written, proposal, wish, as_json=as_json)
    return DONE


def _person() -> str:
    """Who is at the keyboard; a container may have no name for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _confirmed(given: Sequence[str]) -> dict[str, str]:
    answers: dict[str, str] = {}
    for text in given:
        name, mark, answer = text.partition("=")
        if not mark:
            raise Malformed(expected="NAME=ANSWER", got=text, where="--confirm")
        answers[name.strip()] = answer
    return answers


# ------------------------------------------------------------------ for people


def _ask(
    proposal: Proposal, units: Sequence[bytes], answers: dict[str, str], wish: Wish
) -> tuple[Proposal, Wish]:
    """Question by question; letters are asked after the places in which they stand."""
    if proposal.known_driver:
        note(say(LANGUAGE, "lab.known_driver", driver=proposal.known_driver))
    asked: set[str] = set()
    while waiting := [one for one in proposal.questions if one.name not in asked]:
        for question in waiting:
            asked.add(question.name)
            answers[question.name] = _answer(question)
            if _changes_letters(question, answers[question.name]):
                break
        proposal = propose(proposal.protocol, units, answers)
    return proposal, Wish(
        key=wish.key or typer.prompt(say(LANGUAGE, "lab.key")),
        name=wish.name or typer.prompt(say(LANGUAGE, "lab.name")),
        is_from_instrument=wish.is_from_instrument
        or typer.confirm(say(LANGUAGE, "lab.from_instrument"), default=False),
        source=wish.source or typer.prompt(say(LANGUAGE, "lab.source"), default=UNSTATED),
        confirmed=wish.confirmed,
        takes_all=wish.takes_all,
        folder=wish.folder,
    )


def _changes_letters(question: Question, answer: str) -> bool:
    return answer != question.answer and not is_letter(question.name)


def _answer(question: Question) -> str:
    stem, _, text = question.name.partition(".")
    area = "meaning" if is_letter(question.name) else "question"
    title = say(LANGUAGE, f"lab.{area}.{stem}", text=text)
    say_line("")
    say_line(title)
    for choice in question.choices:
        seen = ", ".join(f"{one.record} {one.text.strip()!r}" for one in choice.seen)
        confidence = say(LANGUAGE, f"lab.confidence.{choice.confidence.value}")
        counted = f" {choice.count}/{choice.rows}" if choice.rows else ""
        say_line(f"  {choice.answer or '-'}: {confidence}{counted} {seen}".rstrip())
    if question.options:
        say_line(f"  ({', '.join(question.options)})")
    answer: str = typer.prompt("", default=question.answer, prompt_suffix="> ")
    return answer


def _is_wanted(profile: Profile, captures: Sequence[bytes]) -> bool:
    at = SystemClock().now()
    for data in captures:
        print_tables(documents_of(read_lab(data, profile=profile, zone=UTC, at=at)))
    return typer.confirm(say(LANGUAGE, "lab.save_question"), default=False)


def _report(written: Sequence[Path], proposal: Proposal, wish: Wish, *, as_json: bool) -> None:
    if as_json:
        document = {"key": wish.key, "files": [str(path) for path in written]}
        emit_json({**document, "answers": proposal.answers})
        return
    for path in written:
        say_line(str(path))
    say_line(say(LANGUAGE, "lab.next_step", key=wish.key))
