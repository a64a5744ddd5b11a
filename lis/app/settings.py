"""`lis.toml`: what ties the software to this machine. Laboratory data lives in the store.

Read once, in `lis.app.wiring` or a command, and passed on as frozen values. Scalars can be overridden
by `LIS_SECTION__KEY`; an unknown key, in the file or in such a variable, is an error that names the
key and the file, because a misspelt port is a link that silently never opens.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lis.domain.accession import DEFAULT_PATTERN, AccessionPattern
from lis.domain.errors import Malformed
from lis.printing.labels import SIZES
from lis.transport.address import LinkAddress, TcpConnect
from lis.transport.security import LinkSecurity, network_of

_VARIABLE = re.compile(r"LIS_(?P<section>[A-Z]+)__(?P<key>[A-Z_]+)")

# A resend is recognised by what is kept; the longest silence after which an analyzer still resends is a holiday.
KEEP_DAYS_MIN = 30


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_link(address: str) -> str:
    if address:
        LinkAddress.parse(address)  # raises AddressError, a ValueError in words
    return address


class LaboratorySettings(_Section):
    name: str = "Laboratory"
    language: Literal["ru", "en"] = "en"
    second_person: bool = False  # who typed a value by hand may not verify it


class SiteSettings(_Section):
    name: str
    timezone: str = "UTC"
    accession: str = DEFAULT_PATTERN  # how its tubes are numbered, such as YY12NNNNNN

    @field_validator("accession")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            AccessionPattern.parse(value)
        except Malformed as error:
            raise ValueError(f"expected {error.expected}, got {error.got!r}") from error
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"expected a time zone such as Europe/Moscow, got {value!r}"
            ) from error
        return value


class StoreSettings(_Section):
    url: str = "sqlite:///lis.db"

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError(f"expected sqlite:///FILE or postgresql+psycopg://..., got {value!r}")
        return value


class WebSettings(_Section):
    listen: str = "127.0.0.1:8000"
    tls_certificate: str = ""
    tls_key: str = ""
    insecure: bool = False  # plain HTTP beyond loopback: only when said in words

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"expected host:port such as 127.0.0.1:8000, got {value!r}")
        return value

    @model_validator(mode="after")
    def _safe(self) -> "WebSettings":
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        if not (self.is_https or self.is_loopback or self.insecure):
            raise ValueError(
                f"{self.listen} is reachable from outside without HTTPS: give tls_certificate and "
                "tls_key, listen on 127.0.0.1, or say insecure = true"
            )
        return self

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def is_https(self) -> bool:
        return bool(self.tls_certificate)

    @property
    def is_loopback(self) -> bool:
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


class DriversSettings(_Section):
    folder: str = ""  # learned drivers; empty: `drivers` beside lis.toml, and none without a file


class MqttSettings(_Section):
    url: str = ""


class JournalSettings(_Section):
    """How long traffic is kept; the bytes behind a kept result are kept for ever."""

    keep_days: int = 0  # 0: everything for ever

    @field_validator("keep_days")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if value < 0 or 0 < value < KEEP_DAYS_MIN:
            raise ValueError(f"expected 0 (for ever) or at least {KEEP_DAYS_MIN} days, got {value}")
        return value


class _LinkSection(_Section):
    """What the links of an instrument or an EMR have in common (hl7.md, M11)."""

    allow: tuple[
        str, ...
    ] = ()  # addresses and networks that may call us; empty: whoever reaches us
    tls_certificate: str = ""  # with tls_key: shown where others call us
    tls_key: str = ""
    tls_authority: str = ""  # whose certificates are trusted; asked of callers too, where we listen

    @field_validator("allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            network_of(text)
        return value

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        return self

    @property
    def security(self) -> LinkSecurity:
        return LinkSecurity(
            allow=self.allow,
            certificate=self.tls_certificate,
            key=self.tls_key,
            authority=self.tls_authority,
        )


class InstrumentSettings(_LinkSection):
    name: str
    driver: str
    link: str
    site: str = ""
    charset: str = ""
    timezone: str = ""
    serial: str = ""  # serial number the header must carry (S23); empty: learned from first contact
    password: str = (
        ""  # the analyzer must send it in its header (ASTM H.4); empty: none is asked for
    )
    orders_need_reception: bool = False  # a host query is told only tubes that reception scanned
    orders_link: str = ""  # LAW: where we connect to for orders; empty: they go out on `link`
    orders_broadcast: bool = False  # LAW: work goes out when it is released, without a query

    _links = field_validator("link", "orders_link")(_check_link)


class EmrSettings(_LinkSection):
    name: str
    receive: str = ""
    send: str = ""
    site: str = ""

    _links = field_validator("receive", "send")(_check_link)


class PrinterSettings(_Section):
    """A label printer that takes ZPL on a raw port."""

    name: str
    link: str  # tcp-connect://host:9100
    size: str = "50x25"  # of its roll, in millimetres
    site: str = ""
    on_order: bool = False  # makes the first label of each new tube of its site

    @field_validator("link")
    @classmethod
    def _connects(cls, value: str) -> str:
        if not isinstance(LinkAddress.parse(value).target, TcpConnect):
            raise ValueError(f"expected tcp-connect://host:9100, got {value!r}")
        return value

    @field_validator("size")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SIZES:
            raise ValueError(f"expected one of {', '.join(SIZES)}, got {value!r}")
        return value


class Settings(_Section):
    """Everything `lis.toml` may say."""

    laboratory: LaboratorySettings = LaboratorySettings()
    site: tuple[SiteSettings, ...] = Field(default=(SiteSettings(name="main"),), min_length=1)
    store: StoreSettings = StoreSettings()
    web: WebSettings = WebSettings()
    mqtt: MqttSettings = MqttSettings()
    drivers: DriversSettings = DriversSettings()
    journal: JournalSettings = JournalSettings()
    instrument: tuple[InstrumentSettings, ...] = ()
    emr: tuple[EmrSettings, ...] = ()
    printer: tuple[PrinterSettings, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        sites = {site.name for site in self.site}
        kinds = (("instrument", self.instrument), ("emr", self.emr), ("printer", self.printer))
        for kind, entries in kinds:
            names = [entry.name for entry in entries]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"[[{kind}]] name is used twice: {', '.join(twice)}")
            for entry in entries:
                if entry.site and entry.site not in sites:
                    raise ValueError(
                        f"[[{kind}]] {entry.name}: no [[site]] is named {entry.site!r}"
                    )
        patterns = [AccessionPattern.parse(site.accession) for site in self.site]
        for one, other in combinations(patterns, 2):
            if one.may_meet(other):
                raise ValueError(
                    f"[[site]] accession {one.text} and {other.text} can make the same number: "
                    "give each site a digit of its own at the same place"
                )
        return self

    def site_of(self, name: str) -> str:
        """The site an instrument or EMR belongs to: the one named, else the first."""
        return name or self.site[0].name


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read `path` and the `LIS_SECTION__KEY` variables; raise `Malformed` in words for a person."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError as error:
        raise Malformed(
            expected="a configuration file", got="no such file", where=str(path)
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise Malformed(expected="TOML", got=str(error), where=str(path)) from error
    _override(document, os.environ if environment is None else environment)
    return parse_settings(document, where=str(path))


def parse_settings(document: Mapping[str, Any], *, where: str) -> Settings:
    """Check a document; all faults are told at once, each with its place."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise Malformed(expected="known keys with valid values", got=faults, where=where) from error


def _override(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        match = _VARIABLE.fullmatch(name)
        if match is None:
            continue
        section = document.setdefault(match["section"].lower(), {})
        if not isinstance(section, dict):
            raise Malformed(expected="a section with scalars", got=name, where="environment")
        section[match["key"].lower()] = value
