"""Numbers the way Prometheus' clients write them."""

from collections.abc import Sequence

from prometheus_client.utils import floatToGoString

_REMEMBERED_BELOW = 4096
_REMEMBERED = 2**14
_PLAIN_BELOW = 10**6
_EXACT_BELOW = 2**53
_EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(20))


class Numbers:
    """
    Spells numbers as ``prometheus_client`` does, only faster.

    Most samples are flags, small counts and shares of something, so those are
    remembered; most of the rest are whole numbers that grow, so those are spelled digit by digit.
    """

    def __init__(self) -> None:
        self._remembered: dict[float | None, str] = {}
        self._forget()

    def spell(self, values: Sequence[int | float | None]) -> list[str]:
        """Return the text of each value; of None, an empty one."""
        remembered = self._remembered
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
        text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
        if 0 <= value < _REMEMBERED_BELOW:
            if len(self._remembered) >= _REMEMBERED:
                self._forget()
            self._remembered[value] = text
        return text


def _whole(number: int) -> str:
    """Return *number*, of a million at least, as `floatToGoString` does."""
    digits = str(number)
    exponent = _EXPONENTS[len(digits)]
    if digits[-1] == "0":
        return f"{digits[0]}.{digits[1:]}".rstrip("0.") + exponent
    return f"{digits[0]}.{digits[1:]}{exponent}"
