"""Who the patients of the seeded bench are, and what goes wrong on an ordinary morning. All invented."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from lis.domain.catalog import Sex
from lis.domain.messages import ReportedObservation
from lis.domain.quantity import ReportedValue
from lis.orders import IdentifierEntry, PatientEntry

WARDS: Final = ("терапия", "хирургия", "реанимация", "поликлиника", "кардиология")
# (family, given, middle, sex): invented
PEOPLE: Final = (
    ("Иванова", "Анна", "Павловна", "F"),
    ("Петров", "Сергей", "Ильич", "M"),
    ("Сидорова", "Мария", "Константиновна", "F"),
    ("Кузнецов", "Андрей", "Викторович", "M"),
    ("Соколова", "Елена", "Юрьевна", "F"),
    ("Лебедев", "Николай", "Олегович", "M"),
    ("Морозова", "Татьяна", "Фёдоровна", "F"),
    ("Волков", "Дмитрий", "Романович", "M"),
    ("Зайцева", "Ольга", "Геннадьевна", "F"),
    ("Павлов", "Игорь", "Станиславович", "M"),
    ("Семёнова", "Людмила", "Аркадьевна", "F"),
    ("Голубев", "Артём", "Денисович", "M"),
    ("Виноградова", "Ксения", "Львовна", "F"),
    ("Богданов", "Глеб", "Тимурович", "M"),
    ("Фёдорова", "Надежда", "Борисовна", "F"),
    ("Мельникова-Заболоцкая", "Александра", "Константиновна", "F"),
)


def person_of(dice: random.Random, number: int) -> PatientEntry:
    family, given, middle, sex = PEOPLE[number % len(PEOPLE)]
    year, month, day = 1936 + dice.randrange(66), 1 + dice.randrange(12), 1 + dice.randrange(28)
    return PatientEntry(
        family_name=family,
        given_name=given,
        middle_name=middle,
        birth_date=f"{year}-{month:02d}-{day:02d}",
        sex=Sex(sex).value,
        identifiers=(IdentifierEntry(system="policy", value=f"77{number:09d}"),),
    )


def troubled(found: Sequence[ReportedObservation], number: int) -> Iterator[ReportedObservation]:
    """Give some tubes the trouble that a bench sees on any morning."""
    for place, one in enumerate(found):
        match number % 11, place:
            case 1, 4:  # potassium: critical
                yield replace(one, value=ReportedValue.read("6.9"))
            case 2, 0:  # glucose: high
                yield replace(one, value=ReportedValue.read("14.62"))
            case 3, 4:  # potassium: a jump, and low
                yield replace(one, value=ReportedValue.read("3.1"))
            case 5, 2:  # creatinine: flagged by the instrument
                yield replace(one, flags=("34",), is_abnormal_flagged=True)
            case 6, 0:  # glucose: below the measuring range
                yield replace(one, value=ReportedValue.read("<0.1"))
            case 7, 4:
                yield replace(one, value=ReportedValue.read("2.5"))
            case 8, 1:  # urea: far above the limits
                yield replace(one, value=ReportedValue.read("31.4"))
            case 9, 3:  # another unit than agreed
                yield replace(one, unit="mEq/L")
            case _:
                yield one


def astm_message(device: str, observations: Sequence[ReportedObservation], at: datetime) -> bytes:
    """The message as the analyzer would have written it, so that a screen can show it."""
    stamp = at.strftime("%Y%m%d%H%M%S")
    lines = [rf"H|\^&|||{device}^Roche^1.0|||||host|RSUPL^REAL|P|1|{stamp}", "P|1"]
    specimen = None
    for number, one in enumerate(observations, 1):
        if one.specimen != specimen:
            specimen = one.specimen
            lines.append(f"O|1|{specimen}||ALL|R||||||N||||||||||||||F")
        measured = one.observed_at.strftime("%Y%m%d%H%M%S") if one.observed_at else ""
        flags = "\\".join(one.flags)
        lines.append(
            f"R|{number}|^^^{one.test}|{one.value.text}|{one.unit}||{flags or 'N'}||F||||{measured}"
        )
    lines.append("L|1|N")
    return "\r".join((*lines, "")).encode()
