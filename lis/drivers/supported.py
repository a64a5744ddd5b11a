"""SUPPORTED.md, written from the profiles: the list of instruments that cannot lie.

python -m lis.drivers.supported        writes the page; a test fails while it is stale
"""

from pathlib import Path

from lis.drivers import registry
from lis.drivers.profile import Grade, Profile

SUPPORTED = Path(__file__).resolve().parents[2] / "SUPPORTED.md"

_GRADES = {
    Grade.SPEC: "written from a manual or another public description",
    Grade.CAPTURE: "reads bytes recorded from a real instrument",
    Grade.BIDIRECTIONAL: "orders or host query seen to work with a real instrument",
    Grade.FIELD: "in routine use",
}


def supported_page() -> str:
    """The whole page, Markdown."""
    profiles = [registry.get(key) for key in sorted(registry.profiles())]
    lines = [
        "# Supported instruments",
        "",
        "Written from the driver profiles by `python -m lis.drivers.supported`; do not edit.",
        "Captures made by ourselves are tests and raise no grade.",
        "",
        "| grade | means |",
        "|---|---|",
        *(f"| {grade.name.lower()} | {meaning} |" for grade, meaning in _GRADES.items()),
        "",
        "| instrument | driver | protocol | grade | orders |",
        "|---|---|---|---|---|",
        *(_row(profile) for profile in profiles),
    ]
    for profile in profiles:
        lines += ["", f"## {profile.name}", ""]
        lines += [
            f"- {entry.grade.name.lower()}, {entry.covers}: {entry.source}"
            for entry in profile.evidence
        ]
    return "\n".join(lines) + "\n"


def _row(profile: Profile) -> str:
    protocol = profile.protocol.value.upper()
    return (
        f"| {profile.name} | `{profile.key}` | {protocol} | {profile.grade.name.lower()} "
        f"| {_orders(profile)} |"
    )


def _orders(profile: Profile) -> str:
    ways = []
    if profile.orders.may_query:
        ways.append("host query")
    if profile.orders.may_push:
        ways.append("pushed")
    return ", ".join(ways) or "none"


if __name__ == "__main__":
    SUPPORTED.write_text(supported_page(), encoding="utf-8")
