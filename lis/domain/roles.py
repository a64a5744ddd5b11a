"""Who may do what: one table from role to permission.

A route or a service asks for a permission, never for a role, so a laboratory can later cut roles
differently. Administrators manage users and see no patient data unless they hold another role too.
"""

from enum import StrEnum


class Role(StrEnum):
    TECHNICIAN = "technician"
    DOCTOR = "doctor"
    QC_OFFICER = "qc_officer"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    SEE_WORKLIST = "see_worklist"
    VERIFY = "verify"
    ENTER_ORDERS = "enter_orders"
    SEE_INSTRUMENTS = "see_instruments"
    SEE_RAW = "see_raw"
    EXPORT_RAW = "export_raw"  # traffic with personal data as a file: reason and audit
    SEE_QC = "see_qc"
    MANAGE_QC = "manage_qc"
    SEE_PATIENTS = "see_patients"
    MANAGE_USERS = "manage_users"
    MANAGE_DELIVERY = "manage_delivery"


_P = Permission
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.TECHNICIAN: frozenset(
        {
            _P.SEE_WORKLIST,
            _P.VERIFY,
            _P.ENTER_ORDERS,
            _P.SEE_INSTRUMENTS,
            _P.SEE_RAW,
            _P.SEE_QC,
            _P.SEE_PATIENTS,
        }
    ),
    Role.DOCTOR: frozenset({_P.SEE_PATIENTS, _P.ENTER_ORDERS}),
    Role.QC_OFFICER: frozenset(
        {_P.SEE_QC, _P.MANAGE_QC, _P.SEE_INSTRUMENTS, _P.SEE_RAW, _P.EXPORT_RAW}
    ),
    Role.ADMINISTRATOR: frozenset({_P.MANAGE_USERS, _P.SEE_INSTRUMENTS, _P.MANAGE_DELIVERY}),
}


def permissions_of(roles: frozenset[Role]) -> frozenset[Permission]:
    """All permissions that a set of roles gives."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))
