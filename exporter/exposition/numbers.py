"""Numbers the way Prometheus' clients write them."""

from collections.abc import Sequence
from math import inf, isnan

_REMEMBERED_BELOW = 4096
_REMEMBERED = 2**11
_PLAIN_DIGITS = 6
_PLAIN_BELOW = 10**_PLAIN_DIGITS
_EXACT_BELOW = 2**53
_EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(20))


class Numbers:
    """
    Spells numbers as ``prometheus_client`` does, only faster.

    Most samples are flags, small counts and shares of something, so those are
    remembered; most of the rest are whole numbers that grow, so those are spelled digit by digit.
    As many are remembered as the largest family has samples, which keeps small systems small.
    """

    def __init__(self) -> None:
        self._remembered: dict[float | None, str] = {}
        self._limit = _REMEMBERED
        self._forget()

    def spell(self, values: Sequence[int | float | None]) -> list[str]:
        """Return the text of each value; of None, an empty one."""
        remembered = self._remembered
        self._limit = max(self._limit, len(values))
        return [
            _whole(value)
            if isinstance(value, int) and _PLAIN_BELOW <= value < _EXACT_BELOW
            else remembered.get(value) or self._spelled(value)
            for value in values
        ]

    def _forget(self) -> None:
        self._remembered.clear()
        self._remembered[0] = "0.0"  # without a sign, whichever of the two zeros comes first

    def _spelled(self, value: float | None) -> str:
        if value is None:
            return ""
        text = _go_float(value)
        if 0 <= value < _REMEMBERED_BELOW:
            if len(self._remembered) >= self._limit:
                self._forget()
            self._remembered[value] = text
        return text


def _whole(number: int) -> str:
    """Return *number*, of a million at least, as `_go_float` does."""
    digits = str(number)
    exponent = _EXPONENTS[len(digits)]
    if digits[-1] == "0":
        return f"{digits[0]}.{digits[1:]}".rstrip("0.") + exponent
    return f"{digits[0]}.{digits[1:]}{exponent}"


def _go_float(number: float) -> str:
    """Return *number* as Go writes it: with an exponent from a million upwards."""
    value = float(number)
    if value == inf:
        return "+Inf"
    if value == -inf:
        return "-Inf"
    if isnan(value):
        return "NaN"
    text = repr(value)
    point = text.find(".")
    if value > 0 and point > _PLAIN_DIGITS:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text
