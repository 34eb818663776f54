"""Numbers the way Prometheus' clients write them."""

from collections.abc import Sequence
from math import inf, isnan

_REMEMBERED_BELOW = 4096
_PLAIN_DIGITS = 6
_PLAIN_BELOW = 10**_PLAIN_DIGITS
_EXACT_BELOW = 2**53
_EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(20))


class Numbers:
    """
    Spells numbers as ``prometheus_client`` does, only faster.

    Most samples of a fleet are flags and small counts, so those are remembered; most of the
    rest are whole numbers that grow, so those are spelled on the spot, without a call.
    """

    def __init__(self) -> None:
        # A zero is written without a sign, whichever of the two comes first.
        self._remembered: dict[float | None, str] = {None: "", 0: "0.0"}

    def spell(self, values: Sequence[float | None]) -> list[str]:
        """Return the text of each value; of None, an empty one."""
        remembered = self._remembered.get
        texts = []
        for value in values:
            text = remembered(value)
            if text is None:
                assert value is not None  # noqa: S101 - it is remembered
                if isinstance(value, int) and _PLAIN_BELOW <= value < _EXACT_BELOW:
                    digits = str(value)
                    mantissa = f"{digits[0]}.{digits[1:]}"
                    if digits[-1] == "0":
                        mantissa = mantissa.rstrip("0.")
                    text = mantissa + _EXPONENTS[len(digits)]
                else:
                    text = self._spelled(value)
            texts.append(text)
        return texts

    def _spelled(self, value: float) -> str:
        text = repr(float(value)) if 0 < value < _PLAIN_BELOW else _go_float(value)
        if 0 <= value < _REMEMBERED_BELOW and value == int(value):
            self._remembered[value] = text
        return text


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
