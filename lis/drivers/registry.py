"""Which instruments are known: `lis.drivers.instruments`, packages of third parties, and a folder of learned ones.

The modules are scanned once, when somebody first asks, so a new file needs no reinstall and importing this module
does no work. A third party ships its own package with the entry point group `lis.drivers`, each entry a `Profile`.
What a laboratory taught the program lies in a folder (`driver_folder`) that `lis.toml` names; whoever reads that
file says so with `use_folder`, once, before anybody asks. A key that stands twice is an error: nobody could say
which of the two translated a result.
"""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from lis.domain.errors import Malformed, NotFound
from lis.drivers import instruments
from lis.drivers.driver_folder import load_profiles
from lis.drivers.profile import Profile

ENTRY_POINT_GROUP = "lis.drivers"
_folders: list[Path] = []  # none or one; what `lis.toml` of this process says


def use_folder(folder: Path | None) -> None:
    """Know the drivers that are in this folder now, or none. Raises `Malformed` and changes nothing."""
    wanted = [] if folder is None else [folder]
    if not wanted and not _folders:
        return
    before = list(_folders)
    _folders[:] = wanted
    profiles.cache_clear()
    try:
        profiles()
    except Malformed:
        _folders[:] = before
        profiles.cache_clear()
        raise


def get(key: str) -> Profile:
    """The profile with that key; raises `NotFound`."""
    profile = profiles().get(key)
    if profile is None:
        raise NotFound("driver", key)
    return profile


def keys() -> tuple[str, ...]:
    """All known keys, in alphabetical order."""
    return tuple(sorted(profiles()))


@cache
def profiles() -> MappingProxyType[str, Profile]:
    """Every known profile by key."""
    found: dict[str, Profile] = {}
    for profile, where in (*_built_in(), *_installed(), *_learned()):
        if profile.key in found:
            raise Malformed(expected="a driver key used once", got=profile.key, where=where)
        found[profile.key] = profile
    return MappingProxyType(found)


def _built_in() -> Iterator[tuple[Profile, str]]:
    for module in pkgutil.iter_modules(instruments.__path__):
        name = f"{instruments.__name__}.{module.name}"
        yield _checked(import_module(name).PROFILE, name), name


def _installed() -> Iterator[tuple[Profile, str]]:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        yield _checked(entry.load(), entry.value), entry.value


def _learned() -> Iterator[tuple[Profile, str]]:
    for folder in _folders:
        yield from load_profiles(folder)


def _checked(candidate: object, where: str) -> Profile:
    if not isinstance(candidate, Profile):
        raise Malformed(expected="a Profile", got=type(candidate).__name__, where=where)
    return candidate
