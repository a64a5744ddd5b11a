"""The models of all simulated instruments: what the modules `models_*` of this folder hold, by driver key.

The folder is scanned once, when somebody first asks, so a new file is all that a new family needs.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

import simulators
from lis.domain.errors import Malformed, NotFound
from simulators.model import DeviceIdentity, Model

__all__ = ["DeviceIdentity", "Model", "model_of", "models"]

FAMILY_PREFIX = "models_"


def model_of(driver: str) -> Model:
    """The model for a driver key; raises `NotFound` where no simulator was written."""
    model = models().get(driver)
    if model is None:
        raise NotFound("simulator", driver)
    return model


@cache
def models() -> Mapping[str, Model]:
    """Every model by driver key. A key that stands twice is an error."""
    found: dict[str, Model] = {}
    for module in pkgutil.iter_modules(simulators.__path__):
        if not module.name.startswith(FAMILY_PREFIX):
            continue
        family = import_module(f"{simulators.__name__}.{module.name}").MODELS
        if twice := found.keys() & family.keys():
            raise Malformed(expected="a key used once", got=", ".join(twice), where=module.name)
        found |= family
    return MappingProxyType(found)
