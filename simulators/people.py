"""People who do not exist, and whose names say so.

Surnames come from a list that nobody bears together with such a hospital number; half of the people write in
Russian letters, half in Latin ones, so that every charset on the way is used. Nothing here is taken from anybody.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from simulators.dice import dice

__all__ = ["ISSUER", "Person", "person"]

ISSUER = "DEMO-HOSPITAL"
AGE_DAYS = (18 * 366, 90 * 365)  # adults: the intervals of children are not what a demo is about

_RUSSIAN = ("Тестов", "Примеров", "Вымыслов", "Макетов", "Шаблонов", "Пробиркин", "Условнов")
_RUSSIAN_GIVEN = {
    "F": ("Анна", "Мария", "Ольга", "Вера", "Ирина"),
    "M": ("Иван", "Пётр", "Олег", "Борис", "Фёдор"),
}
_RUSSIAN_FATHER = {"F": "Образцовна", "M": "Образцович"}
_LATIN = ("Demoson", "Testman", "Sampleton", "Mockley", "Fakewell", "Dummert", "Placeholder")
_LATIN_GIVEN = {
    "F": ("Anna", "Zoë", "Mary", "Ingrid", "Chloé"),
    "M": ("Adam", "John", "René", "Jürgen", "Max"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One invented patient; `birth_date` is YYYYMMDD."""

    identifier: str
    family: str
    given: str
    middle: str
    birth_date: str
    sex: str


def person(number: int, *, seed: object, today: date) -> Person:
    """The person with that number; the same for the same seed."""
    throw = dice(seed, "person", number)
    sex = throw.choice("FM")
    is_russian = number % 2 == 0
    if is_russian:
        family = throw.choice(_RUSSIAN) + ("а" if sex == "F" else "")
        given, middle = throw.choice(_RUSSIAN_GIVEN[sex]), _RUSSIAN_FATHER[sex]
    else:
        family, given, middle = throw.choice(_LATIN), throw.choice(_LATIN_GIVEN[sex]), ""
    born = today - timedelta(days=throw.randint(*AGE_DAYS))
    return Person(
        identifier=f"DEMO-{seed}-{number:05d}",
        family=family,
        given=given,
        middle=middle,
        birth_date=f"{born:%Y%m%d}",
        sex=sex,
    )
