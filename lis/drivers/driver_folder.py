"""The folder of learned drivers: one folder a driver, named by its key.

    drivers/maker-model/profile.toml     the profile, `lis.drivers.profile_document`
    drivers/maker-model/1.cap            what it was learned from, without personal data
    drivers/maker-model/1.json           what the profile must make of that

Folders whose names begin with a dot are being written and are passed over. Everything else must be a driver: one
that cannot be read stops the start, as a link without its driver would hold all that it receives.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lis.domain.errors import Malformed
from lis.drivers.profile import Profile
from lis.drivers.profile_document import read_profile

PROFILE_FILE: Final = "profile.toml"


def load_profiles(folder: Path) -> Iterator[tuple[Profile, str]]:
    """Every profile of the folder and where it stands; nothing if there is no folder. Raises `Malformed`."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            yield _load(entry / PROFILE_FILE)


def _load(path: Path) -> tuple[Profile, str]:
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(expected="a profile in UTF-8", got=str(error), where=where) from error
    profile = read_profile(text, where=where)
    if profile.key != path.parent.name:
        expected = f"{path.parent.name}, the name of its folder"
        raise Malformed(expected=expected, got=profile.key, where=f"{where}: key")
    return profile, where
