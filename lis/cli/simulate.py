"""`lis simulate`: one simulated analyzer on a link, to try a laboratory or a listener without an instrument.

    lis simulate sysmex-xp-100 tcp-connect://127.0.0.1:15001 --count 5
    lis simulate roche-cobas-c111 serial:///dev/ttyUSB0 --specimen 2611000017 --fault bad_checksum

It keeps the timers of its protocol, so a fault that is mended by a time-out takes 15 seconds and more. Exit code
0: everything was acknowledged; 1: something was refused, given up, or not done in time; 2: usage.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import structlog
import typer

from lis.app.clock import SystemClock
from lis.cli.output import DONE, FOUND_WRONG, USAGE, emit_json, note, say_line
from lis.domain.errors import NotFound
from lis.drivers import registry
from lis.transport import AddressError, LinkAddress, LinkState
from lis.words import say
from simulators.analyzer import Analyzer, AnalyzerSettings
from simulators.faults import Fault, Trouble, faults_of
from simulators.models import models
from simulators.tubes import Tube, unissued_numbers
from simulators.writing import Instrument

LANGUAGE = "en"


class Unusable(Exception):
    """A word of the command line that nothing can be done with."""


def register(app: typer.Typer) -> None:
    """Add `lis simulate`."""
    app.command("simulate")(simulate)


def simulate(
    driver: Annotated[str, typer.Argument(help="Driver key; see SUPPORTED.md.")],
    link: Annotated[
        str, typer.Argument(help="tcp-connect://host:port, serial:///dev/ttyUSB0, ...")
    ],
    *,
    fault: Annotated[str, typer.Option(help=f"One of: {', '.join(Fault)}.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same values.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="Tubes to measure.")] = 1,
    specimen: Annotated[
        list[str] | None, typer.Option(help="Measure this tube; may be repeated.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the host what to measure.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds; 0: until done.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Be an analyzer of that driver on a link until its tubes are measured and acknowledged."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        address = LinkAddress.parse(link)
        instrument = _instrument(driver)
        trouble = _trouble(fault, instrument, seed)
        numbers = specimen or list(unissued_numbers(count, seed=seed))
        settings = AnalyzerSettings(asks=ask)
        if trouble is not None:
            settings = replace(settings, wrap=trouble.wrap)
        summary = asyncio.run(_simulate(instrument, address, numbers, seed, settings, timeout))
    except (AddressError, Unusable) as error:
        note(str(error))
        raise typer.Exit(USAGE) from error
    summary |= {
        "driver": driver,
        "link": link,
        "specimens": numbers,
        "fault": fault or None,
        "fault_happened": bool(trouble and trouble.has_happened),
    }
    if as_json:
        emit_json(summary)
    else:
        for name, value in summary.items():
            say_line(f"{name:22} {value}")
    raise typer.Exit(DONE if summary["ok"] else FOUND_WRONG)


def _instrument(driver: str) -> Instrument:
    try:
        return Instrument.of(registry.get(driver))
    except NotFound as error:
        known = ", ".join(sorted(models()))
        words = say(LANGUAGE, "simulators.unknown_driver", name=driver, known=known)
        raise Unusable(words) from error


def _trouble(name: str, instrument: Instrument, seed: int) -> Trouble | None:
    if not name:
        return None
    protocol = instrument.profile.protocol
    possible = faults_of(protocol)
    if name not in possible:
        known = ", ".join(possible)
        raise Unusable(say(LANGUAGE, "simulators.unknown_fault", name=name, known=known))
    return Trouble(Fault(name), protocol, seed=seed)


async def _simulate(
    instrument: Instrument,
    address: LinkAddress,
    specimens: Sequence[str],
    seed: int,
    settings: AnalyzerSettings,
    timeout_s: float,
) -> dict[str, Any]:
    """Work until done, interrupted or out of time; the counts, and whether all was acknowledged."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    analyzer = Analyzer(
        instrument, clock=SystemClock(), seed=seed, settings=settings, on_state=_report
    )
    analyzer.load(Tube(accession=number) for number in specimens)
    working = asyncio.create_task(analyzer.run(address, stop))
    done = asyncio.create_task(analyzer.until_done())
    interrupted = asyncio.create_task(stop.wait())
    loop.add_signal_handler(signal.SIGINT, stop.set)
    try:
        await asyncio.wait(
            {working, done, interrupted},
            timeout=timeout_s or None,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        is_done = done.done()
        stop.set()
        done.cancel()
        await working
        await asyncio.wait({done, interrupted})
    counts = analyzer.counts
    is_ok = is_done and counts.acknowledged == counts.messages and not counts.given_up
    return {**asdict(counts), "ok": is_ok}


def _report(state: LinkState, detail: str) -> None:
    note(f"{state.value} {detail}".strip())
