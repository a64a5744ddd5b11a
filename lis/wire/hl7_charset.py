"""Which characters the bytes of an HL7 message mean.

MSH-18 names the character set, in the words of HL7 table 0211. Senders leave it empty, write
it in their own way (`UTF8`, `ISO-8859-5`), or are wrong: a middleware announces UNICODE and
sends windows-1251. So decoding never fails and never drops a byte:

    1. what MSH-18 says, strictly. The first repetition is the default set; a Japanese one
       further on (`~ISO IR87`) means ISO 2022 escapes in the text.
    2. the fallback list of the link, strictly, in its order.
    3. Latin-1, which maps every byte to some character.

`Decoded.is_declared_wrong` is set when step 1 was possible and failed, or when MSH-18 names
a set we do not know. An empty MSH-18 is nobody's mistake. `UNICODE` alone is read as UTF-8:
the two-byte encodings it could also mean would hide MSH itself.

Outbound, characters that the peer's set lacks are written as `\\X..\\` with their UTF-8 bytes,
or as `?`. Both can be read by a person; the first can be read by our own reader as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from lis.wire.errors import LocalProtocolError

__all__ = [
    "DEFAULT_FALLBACK",
    "Decoded",
    "Unencodable",
    "codec_named",
    "decode",
    "encode",
]

DEFAULT_FALLBACK = ("utf-8", "cp1251", "latin-1")
LAST_RESORT = "latin-1"
NAMES_REMEMBERED = 64  # spellings of MSH-18 in one laboratory: a handful

_ISO_8859_PARTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)

# Names as they stand in MSH-18, upper-case and without blanks, hyphens, slashes and underscores.
CODECS: dict[str, str] = {
    "": "ascii",
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "BIG5": "big5",
    "KSX1001": "euc_kr",
    "ISOIR14": "iso2022_jp_2",
    "ISOIR87": "iso2022_jp_2",
    "ISOIR159": "iso2022_jp_2",
    **{f"8859{part}": f"iso8859-{part}" for part in _ISO_8859_PARTS},
    **{f"ISO8859{part}": f"iso8859-{part}" for part in _ISO_8859_PARTS},
    **{
        f"{prefix}{page}": f"cp{page}" for prefix in ("CP", "WINDOWS") for page in range(1250, 1259)
    },
}

_REMOVED = str.maketrans("", "", " -/_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text, the codec that gave it, and whether MSH-18 had promised another."""

    text: str
    codec: str
    is_declared_wrong: bool


class Unencodable(Enum):
    """What to write for a character that the peer's character set lacks."""

    HEX = auto()
    QUESTION_MARK = auto()


@lru_cache(maxsize=NAMES_REMEMBERED)
def codec_named(name: str) -> str | None:
    """Python's name for a value of MSH-18; None when we do not know it."""
    return CODECS.get(name.upper().translate(_REMOVED))


def decode(raw: bytes, declared: Sequence[str], fallback: Sequence[str]) -> Decoded:
    """Decode a whole message; `declared` are the repetitions of MSH-18. Never fails."""
    is_silent = not any(declared)
    promised = None if is_silent else _promised_codec(declared)
    if promised is not None:
        text = _try(raw, promised)
        if text is not None:
            return Decoded(text=text, codec=promised, is_declared_wrong=False)
    for codec in fallback:
        text = _try(raw, codec)
        if text is not None:
            return Decoded(text=text, codec=codec, is_declared_wrong=not is_silent)
    text = raw.decode(LAST_RESORT)
    return Decoded(text=text, codec=LAST_RESORT, is_declared_wrong=not is_silent)


def encode(text: str, codec: str, unencodable: Unencodable) -> bytes:
    """Encode outbound text; what the codec lacks is written as the policy says."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return "".join(_encodable(character, codec, unencodable) for character in text).encode(
            codec
        )
    except LookupError:
        raise LocalProtocolError(f"expected a codec Python knows, got {codec!r}") from None


def _promised_codec(declared: Sequence[str]) -> str | None:
    codec = codec_named(declared[0])
    if codec == "ascii":
        further = [codec_named(name) for name in declared[1:]]
        if "iso2022_jp_2" in further:
            return "iso2022_jp_2"
    return codec


def _try(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None
    except LookupError:
        raise LocalProtocolError(f"expected a codec Python knows, got {codec!r}") from None


def _encodable(character: str, codec: str, unencodable: Unencodable) -> str:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        is_surrogate = "\ud800" <= character <= "\udfff"  # half a character: no bytes mean it
        if unencodable is Unencodable.QUESTION_MARK or is_surrogate:
            return "?"
        return f"\\X{character.encode('utf-8').hex().upper()}\\"
    return character
