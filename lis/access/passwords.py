"""Password hashes (argon2id) and random tokens.

Cost: OWASP's m = 19 MiB, t = 2, p = 1, about 50 ms here. At most two hashes run at once (`_SLOTS`), so that
a flood of logins cannot take the machine away from the analyzers. Tokens are 256 random bits; only
their SHA-256 is stored, which is enough because they cannot be guessed.
"""

import hashlib
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lis.domain.errors import Refused

PASSWORD_LENGTH_MIN: Final = 10
PASSWORD_LENGTH_MAX: Final = 256  # longer input only costs hashing time
TOKEN_BYTES: Final = 32
_SLOTS = threading.BoundedSemaphore(2)
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Hash of a password nobody knows: an unknown login takes as long as a wrong password.
_NOBODY = _HASHER.hash(secrets.token_hex(TOKEN_BYTES))

# The passwords people choose first; a full breached list can be configured by the laboratory.
_COMMON: Final = frozenset(
    [
        "1234567890",
        "12345678910",
        "qwertyuiop",
        "1q2w3e4r5t",
        "password12",
        "password123",
        "administrator",
        "laboratory",
        "0987654321",
        "qwerty12345",
        "1111111111",
        "1qaz2wsx3edc",
        "йцукенгшщз",
        "пароль1234",
        "лаборатория",
    ]
)


def hash_password(password: str, *, login: str = "") -> str:
    """Hash a new password; refuse one that is too short, common, or the login itself."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise Refused("password_length", shortest=PASSWORD_LENGTH_MIN, longest=PASSWORD_LENGTH_MAX)
    if password.lower() in _COMMON or password.lower() == login.lower() or len(set(password)) < 4:
        raise Refused("password_common")
    with _SLOTS:
        return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Whether the password fits; takes the same time when there is no such user."""
    with _SLOTS:
        try:
            _HASHER.verify(password_hash or _NOBODY, password[:PASSWORD_LENGTH_MAX])
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def new_token() -> str:
    """A random token for a session, a receipt or a first start."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


RECEIPT_BYTES: Final = 16  # 128 random bits: cannot be guessed, even without the date of birth
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: typed from paper on a phone
_RECEIPT_LENGTH: Final = 26
_RECEIPT_GROUP: Final = 5


def new_receipt_code() -> str:
    """A receipt's code as printed: groups of five letters and digits."""
    number = int.from_bytes(secrets.token_bytes(RECEIPT_BYTES))
    digits = ""
    for _ in range(_RECEIPT_LENGTH):
        number, digit = divmod(number, len(_CROCKFORD))
        digits = _CROCKFORD[digit] + digits
    groups = range(0, _RECEIPT_LENGTH, _RECEIPT_GROUP)
    return "-".join(digits[start : start + _RECEIPT_GROUP] for start in groups)


def receipt_hash(code: str) -> str:
    """The hash of a receipt's code however it was typed: case, dashes and look-alikes do not matter."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return token_hash(plain.replace("O", "0").replace("I", "1").replace("L", "1"))
