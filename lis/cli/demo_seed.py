"""What a demo laboratory starts with: catalog, controls with targets, and a login for each role.

The targets come from the same plans the simulated analyzers measure by, so that controls are in control
until a fault is asked for. Nothing here is for clinical use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from lis.access.passwords import hash_password
from lis.domain.catalog import Catalog
from lis.domain.control import QcPolicy
from lis.domain.roles import Role
from lis.store.control_rows import ControlLevel, ControlLot, ControlMaterial, Target
from lis.store.definitions import catalog_in_force
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.system_rows import User, UserRole
from lis.store.traffic_rows import Device
from lis.store.unit import Unit
from simulators.analyzer import ControlTube
from simulators.measuring import ControlTarget, TestPlan
from simulators.models import model_of

LEVELS: Final = ("L1", "L2")
SHIFT_BY_LEVEL: Final = {"L1": -1.5, "L2": 1.5}  # in SD of the population: a low and a high control
CONTROL_CV: Final = Decimal("0.03")
IN_FORCE_SINCE: Final = timedelta(days=60)

LOGINS: Final = {
    "anna": ("Анна Лаборантова", Role.TECHNICIAN),
    "doctor": ("Доктор Примеров", Role.DOCTOR),
    "quality": ("Вера Контролёва", Role.QC_OFFICER),
    "admin": ("Администратор", Role.ADMINISTRATOR),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSeed:
    """What the composition hands to the simulated analyzers."""

    controls: Mapping[str, tuple[ControlTube, ...]]  # device name -> one tube per level


def seed(unit: Unit, devices: Sequence[Device], *, password: str) -> DemoSeed:
    """Write catalog, controls, targets and users in one unit."""
    put_demo_catalog(unit, effective_from=unit.now - IN_FORCE_SINCE)
    catalog = catalog_in_force(unit.session, unit.now)
    _users(unit, password)
    for (
        device
    ) in devices:  # their protocols do not tell how an id was read: here we vouch for it (S16)
        device.has_reliable_barcode = True
    return DemoSeed(controls={device.name: _controls(unit, catalog, device) for device in devices})


def _users(unit: Unit, password: str) -> None:
    hashed = hash_password(password)  # one hash for all: the demo's password is printed anyway
    for login, (name, role) in LOGINS.items():
        user = User(
            public_id=unit.ids.new(),
            login=login,
            name=name,
            password_hash=hashed,
            created_at=unit.now,
        )
        unit.session.add(user)
        unit.session.flush()
        unit.session.add(UserRole(user_id=user.id, role=role.value))


def _controls(unit: Unit, catalog: Catalog, device: Device) -> tuple[ControlTube, ...]:
    plans = [
        plan for plan in model_of(device.driver).plans if _is_controlled(catalog, device, plan)
    ]
    if not plans:
        return ()
    material = ControlMaterial(name=f"Demo control {device.name}", manufacturer="demo")
    unit.session.add(material)
    unit.session.flush()
    lot = ControlLot(material_id=material.id, lot=f"D{device.id:03d}", expires_on="2030-12-31")
    unit.session.add(lot)
    unit.session.flush()
    return tuple(_level(unit, catalog, device, lot, level, plans) for level in LEVELS)


def _level(
    unit: Unit, catalog: Catalog, device: Device, lot: ControlLot, name: str, plans: list[TestPlan]
) -> ControlTube:
    specimen = f"QC{name[1:]}-{device.id}"
    level = ControlLevel(lot_id=lot.id, level=name, specimen_ids=[specimen])
    unit.session.add(level)
    unit.session.flush()
    targets = {}
    for plan in plans:
        mean, sd = _target(plan, name)
        targets[plan.code] = ControlTarget(mean=float(mean), sd=float(sd))
        unit.session.add(
            Target(
                level_id=level.id,
                test_code=catalog.by_instrument_code[device.driver, plan.code].test,
                mean=mean,
                sd=sd,
                effective_from=unit.now - IN_FORCE_SINCE,
                author=unit.actor,
                device_id=device.id,
            )
        )
    return ControlTube(specimen=specimen, targets=targets)


def _is_controlled(catalog: Catalog, device: Device, plan: TestPlan) -> bool:
    mapping = catalog.by_instrument_code.get((device.driver, plan.code))
    return mapping is not None and catalog.tests[mapping.test].qc_policy is QcPolicy.EXTERNAL


def _target(plan: TestPlan, level: str) -> tuple[Decimal, Decimal]:
    step = Decimal(1).scaleb(-plan.decimals)
    mean = Decimal(str(plan.mean + SHIFT_BY_LEVEL[level] * plan.sd)).quantize(step)
    # an SD below the printed step could not be seen in the reported value
    return mean, max((abs(mean) * CONTROL_CV).quantize(step / 10), step)
