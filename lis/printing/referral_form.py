"""The referral's sheet as a PDF: for the patient and for the way of the tubes, with the access code as QR."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lis.printing.labels import shown_date
from lis.printing.qr import qr_svg
from lis.printing.typst_pages import pdf_of
from lis.words import Words

TEMPLATE: Final = "referral_form.typ"
SEXES: Final = frozenset({"F", "M"})
PRIORITIES: Final = frozenset({"S", "A"})
_WORDS: Final = ("title", "tests", "tubes", "receipt", "receipt_keep", "no_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralForm:
    """What the sheet says. `code` and `link` are known only to whoever placed the referral."""

    laboratory: str
    name: str
    birth_date: str
    sex: str
    ordered_at: str  # local time, as people read it
    identifiers: tuple[str, ...] = ()
    requester: str = ""
    ward: str = ""
    priority: str = "R"
    tests: tuple[tuple[str, str], ...] = ()  # (code, name)
    tubes: tuple[tuple[str, str], ...] = ()  # (accession number, material)
    code: str = ""
    address: str = ""  # of the patient's page, to be typed
    link: str = ""  # the same with the code in its fragment, for the camera


def referral_form_pdf(form: ReferralForm, *, language: str, at: datetime) -> bytes:
    """The sheet in a language."""
    words = Words(language)
    sex = form.sex if form.sex in SEXES else "U"
    priority = form.priority if form.priority in PRIORITIES else "R"
    facts = (
        (words("labels.form.born"), shown_date(form.birth_date, language)),
        (words("labels.form.sex"), words(f"labels.form.sex.{sex}")),
        (words("labels.form.identifiers"), ", ".join(form.identifiers)),
        (words("labels.form.ordered"), form.ordered_at),
        (words("labels.form.requester"), form.requester),
        (words("labels.form.ward"), form.ward),
    )
    said = {key: words(f"labels.form.{key}") for key in _WORDS}
    said["receipt_how"] = words("labels.form.receipt_how", address=form.address)
    values = {
        "language": language,
        "laboratory": form.laboratory,
        "name": form.name,
        "facts": [pair for pair in facts if pair[1]],
        "priority": words(f"labels.form.priority.{priority}"),
        "urgent": priority != "R",
        "tests": form.tests,
        "tubes": form.tubes,
        "code": form.code,
        "qr": qr_svg(form.link) if form.code else "",
        "words": said,
    }
    return pdf_of(TEMPLATE, values, at=at)
