"""Figures of `lis bench intake`: from the socket to the disk, and from the disk to the released result.

    ingest_of_raw_writer     messages a second of fifty analyzers over loopback MLLP, each waiting for its ACK after
                             commit, beside plain `sqlite3` writing the same rows again, 200 messages a commit
    ack_p99_ms_mllp, _astm   the whole house at work (links, intake, sealer), fifty analyzers sending at a pace
                             that a very large laboratory does not reach; `..._flat_out`: links alone, each
                             analyzer sending again as soon as it is acknowledged
    fsync_p99_ms             what the disk needs for a small append, asked between all rounds
    full_path_results_per_s  twenty-analyte messages, from the first byte sent to the last one released: orders placed
                             and controls accepted beforehand; intake, gate, autoverification, reports, outbox, audit
    full_path_of_raw_insert  the same, beside plain `sqlite3` writing the same observation rows again

Every figure and its floor are taken in turns within one run and reported as medians, because the disk of a
shared machine changes its mind within minutes.
"""

import shutil
import sqlite3
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lis.cli.bench_floor import (
    StoredRows,
    fsync_ms,
    read_intake_rows,
    read_result_rows,
    write_raw,
)
from lis.cli.bench_house import (
    LINKS_ONLY,
    accept_controls,
    measure_full_path,
    open_house,
    place_orders,
)
from lis.cli.bench_timing import Figure, Peer, alone, beside
from simulators.load_messages import Wire

ROUNDS: Final = 3
WARM_UP_S: Final = 0.5
LOAD_S: Final = 3.0
PACE_PER_S: Final = 50.0  # messages of all analyzers: 1,000 results a second
PACED_FACTOR: Final = 2.0  # paced rounds last longer: a 99th percentile needs some hundred answers
ORDERED_TUBES: Final = 400  # 8,000 results a round


@dataclass(slots=True)
class Run:
    """One run of the bench: the folder it works in, and what was measured so far."""

    folder: Path
    fsync_ms: list[float] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, value: float) -> None:
        self.samples.setdefault(what, []).append(value)

    def median(self, what: str) -> float:
        return statistics.median(self.samples[what])

    def place(self, name: str) -> Path:
        """A folder for one house; what was there before is gone."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def ask_disk(self) -> None:
        self.fsync_ms += fsync_ms(self.folder)


def figures(
    *, rounds: int = ROUNDS, load_s: float = LOAD_S, tubes: int = ORDERED_TUBES
) -> list[Figure]:
    """Measure everything; some minutes on two quiet cores."""
    with tempfile.TemporaryDirectory(prefix="lis-bench-") as folder:
        run = Run(Path(folder))
        for _ in range(rounds):
            run.ask_disk()
            _ingest(run, load_s)
            run.ask_disk()
            for wire in Wire:
                _paced(run, wire, load_s)
            run.ask_disk()
            _full_path(run, tubes)
        return _report(run)


def _ingest(run: Run, load_s: float) -> None:
    """Flat out over both wires, links alone; then the floor with the rows that MLLP brought."""
    for wire in Wire:
        with open_house(run.place("ingest"), wire, roles=LINKS_ONLY) as loaded:
            loaded.load(seconds=WARM_UP_S)
            counted = loaded.load(seconds=load_s)
            database = loaded.database
        run.note(f"ack_p99_ms_{wire}_flat_out", counted.ack_p99_ms)
        run.note(f"ingest_{wire}", counted.messages_per_s)
        if wire is Wire.MLLP:
            rows = read_intake_rows(database)
            run.note("raw_writer", _raw_rate(run, rows) * rows.count)


def _raw_rate(run: Run, rows: StoredRows) -> float:
    """How often a second plain `sqlite3` could write all these rows."""
    place = run.place("raw")
    place.mkdir()
    return 1 / write_raw(rows, place / "raw.db")


def _paced(run: Run, wire: Wire, load_s: float) -> None:
    with open_house(run.place("paced"), wire) as loaded:
        loaded.load(seconds=WARM_UP_S, per_second=PACE_PER_S)
        counted = loaded.load(seconds=PACED_FACTOR * load_s, per_second=PACE_PER_S)
        loaded.await_processed()
    run.note(f"ack_p99_ms_{wire}", counted.ack_p99_ms)


def _full_path(run: Run, tubes: int) -> None:
    """All roles; then the floor with the observations that came out."""
    with open_house(run.place("full"), Wire.ASTM) as loaded:
        accept_controls(loaded)
        accessions = place_orders(loaded, tubes)
        done = measure_full_path(loaded, accessions)
        database = loaded.database
    rows = read_result_rows(database, after_message=done.controls)
    run.note("full_path", done.results / done.seconds)
    run.note("released", done.released / done.results)
    run.note("raw_insert", _raw_rate(run, rows) * done.results)


def _report(run: Run) -> list[Figure]:
    median = run.median
    raw = _sqlite("raw_writer", median("raw_writer"))
    figures = [beside("ingest_of_raw_writer", median("ingest_mllp"), "messages/s", raw)]
    figures += [alone(f"ack_p99_ms_{wire}", median(f"ack_p99_ms_{wire}"), "ms") for wire in Wire]
    figures += [
        alone(what, median(what), "ms") for what in (f"ack_p99_ms_{wire}_flat_out" for wire in Wire)
    ]
    figures += [
        alone("fsync_p99_ms", _percentile(run.fsync_ms, 0.99), "ms"),
        alone("fsync_p50_ms", _percentile(run.fsync_ms, 0.50), "ms"),
        alone("ingest_astm_messages_per_s", median("ingest_astm"), "messages/s"),
        alone("full_path_results_per_s", median("full_path"), "results/s"),
        alone("full_path_released_share", median("released"), ""),
        beside(
            "full_path_of_raw_insert",
            median("full_path"),
            "results/s",
            _sqlite("raw_insert", median("raw_insert")),
        ),
    ]
    return figures


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _sqlite(what: str, value: float) -> Peer:
    return Peer(name=f"sqlite3 ({what})", version=sqlite3.sqlite_version, value=value)
