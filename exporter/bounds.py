"""The numbers that an operator may set, bounded so that what computes with them cannot overflow."""

from typing import Annotated

from annotated_types import Ge, Gt, Le

MAX_DAYS = 36_500
"""A time this long before or after now is still a date."""
MAX_SECONDS = MAX_DAYS * 86_400.0
MIN_SECONDS = 0.001
MAX_COUNT = 10**9

Seconds = Annotated[float, Ge(0), Le(MAX_SECONDS)]
PositiveSeconds = Annotated[float, Ge(MIN_SECONDS), Le(MAX_SECONDS)]
Count = Annotated[int, Ge(0), Le(MAX_COUNT)]
PositiveCount = Annotated[int, Gt(0), Le(MAX_COUNT)]
