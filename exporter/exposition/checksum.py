"""The CRC-32 of two pieces laid end to end, from the CRC-32 of each, without reading them."""

POLYNOMIAL = 0xEDB88320
ONE = 0x80000000
"""The polynomial 1, with the bits in the order that CRC-32 keeps them in."""


def _times(left: int, right: int) -> int:
    """Return the product of two polynomials over GF(2), modulo CRC-32's."""
    product = 0
    while left:
        if left & ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = (right >> 1) ^ POLYNOMIAL if right & 1 else right >> 1
    return product


def _squares() -> tuple[int, ...]:
    """Return x^(8 * 2**n) for n from 0: what a shift by 2**n bytes multiplies a checksum by."""
    power = ONE >> 1  # x
    for _ in range(3):
        power = _times(power, power)
    found = []
    for _ in range(48):
        found.append(power)
        power = _times(power, power)
    return tuple(found)


_SHIFT_BY_POWER_OF_TWO = _squares()


def shift(size: int) -> int:
    """Return the factor by which *size* bytes that follow change a checksum; for `combine`."""
    factor = ONE
    for exponent, square in enumerate(_SHIFT_BY_POWER_OF_TWO):
        if size >> exponent & 1:
            factor = _times(square, factor)
    return factor


def combine(first: int, second: int, second_shift: int) -> int:
    """
    Return the checksum of two pieces laid end to end.

    Args:
        first: The first piece's checksum.
        second: The second's.
        second_shift: `shift` of the second's size.

    """
    return _times(second_shift, first) ^ second
