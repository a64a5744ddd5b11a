"""What messages say, as tables on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_tables(messages: list[dict[str, Any]]) -> None:
    console = Console()
    for number, message in enumerate(messages, 1):
        driver = message["driver"] or "no driver knows this message"
        table = Table(
            title=f"{number}: {message['protocol'] or '?'}, {driver}", title_justify="left"
        )
        for name in ("record", "kind", "specimen", "test", "value", "unit", "flags", "status"):
            table.add_column(name)
        table.add_column("time")
        table.add_column("held")
        for entry in message["observations"]:
            table.add_row(*_cells(entry), style="dim" if entry["part_of"] else None)
        console.print(table)
        for query in message["queries"]:
            what = "everything" if query["all"] else ", ".join(query["specimens"])
            console.print(
                f"query {'taken back' if query['cancel'] else 'for ' + what}", markup=False
            )
        for entry in message["unreadable"]:
            line = f"unreadable {entry['record']} {entry['reason']}: {entry['raw'][:120]!r}"
            console.print(line, style="red", markup=False)
        for finding in message.get("law", ()):
            console.print(f"LAW {finding['weight']}: {finding['text']}", style="dim", markup=False)


def _cells(entry: dict[str, Any]) -> list[str]:
    names = ("record", "kind", "specimen", "test", "value", "unit")
    flags, holds = " ".join(entry["flags"]), " ".join(entry["holds"])
    texts = [*(entry[name] for name in names), flags, entry["status"], entry["observed_at"], holds]
    return [str(text or "").replace("[", "\\[") for text in texts]
