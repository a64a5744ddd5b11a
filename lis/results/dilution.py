"""Back-calculation: what a diluted specimen would have read undiluted (S25). Pure.

    the profile says            the message says       what is done
    -------------------------   --------------------   ---------------------------------------------
    the value is multiplied     a factor               nothing: the instrument did it   (CORRECTED)
    the value is raw            a factor above zero    multiplied here, exactly         (MULTIPLIED)
    the value is raw            no credible factor     held: nobody knows the number    (RAW)
    nothing                     a factor               held                             (UNKNOWN)

The text stays as the instrument wrote it; the number beside it is the product, the factor is stored next to
it, and a bound stays a bound: `>500` at 1:10 means `>5000`. Nothing is rounded before the value is shown.
"""

from dataclasses import replace
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

from lis.domain.messages import ReportedObservation, ValueBasis

FACTOR_MAX: Final = Decimal(1_000_000)  # no laboratory dilutes further; a larger one was misread
# exactly, or not at all: a product with more digits than this is no measurement
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])


def back_calculated(reported: ReportedObservation) -> ReportedObservation:
    """The observation with its number multiplied, if the profile says it is raw and the factor is known."""
    if reported.basis is not ValueBasis.RAW or reported.value.number is None:
        return reported
    product = multiplied(reported.value.number, reported.dilution)
    if product is None:
        return reported
    value = replace(reported.value, number=product)
    return replace(reported, value=value, basis=ValueBasis.MULTIPLIED)


def multiplied(number: Decimal, factor: Decimal | None) -> Decimal | None:
    """The exact product; None for a factor that cannot be one."""
    if factor is None or not factor.is_finite() or not 0 < factor <= FACTOR_MAX:
        return None
    try:
        return _EXACT.multiply(number, factor)
    except (Inexact, InvalidOperation, Overflow):
        return None
