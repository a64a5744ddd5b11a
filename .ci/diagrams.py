"""Draw the state machines of ARCHITECTURE.md from the tables that the code runs on.

`python .ci/diagrams.py` fails when the page no longer shows the tables; with `--write` it redraws
the part between the two markers.
"""

import sys
from pathlib import Path

from lis.domain.awos import AWOS
from lis.domain.lifecycle import TABLES

PAGE = Path(__file__).resolve().parents[1] / "ARCHITECTURE.md"
BEGIN = "<!-- state machines: drawn by .ci/diagrams.py -->\n"
END = "<!-- state machines: end -->\n"


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    drawn_before, after = rest.split(END)
    drawn = diagrams()
    if "--write" in arguments:
        PAGE.write_text(before + BEGIN + drawn + END + after, encoding="utf-8")
        return 0
    if drawn == drawn_before:
        return 0
    print("ARCHITECTURE.md shows old state machines: python .ci/diagrams.py --write")
    return 1


def diagrams() -> str:
    return "".join(
        f"\n### {table.name.replace('_', ' ').capitalize()}\n\n```mermaid\n{table.mermaid()}\n```\n"
        for table in (*TABLES, AWOS)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
