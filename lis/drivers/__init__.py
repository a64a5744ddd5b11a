"""Instruments: profiles as data, and the drivers that read and write by them."""

from lis.drivers.driver import identify, lane_of, order_records, protocol_of, translate
from lis.drivers.profile import Evidence, FieldMap, FieldRule, Grade, Profile, Quirks

__all__ = [
    "Evidence",
    "FieldMap",
    "FieldRule",
    "Grade",
    "Profile",
    "Quirks",
    "identify",
    "lane_of",
    "order_records",
    "protocol_of",
    "translate",
]
