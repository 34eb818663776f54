"""How many requests of one kind may be in progress, in all and from one client."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web

from exporter.web.connections import client_of
from exporter.web.ports import CountRefusal, Refusal

RETRY_AFTER_SECONDS = 5


class Slots:
    """
    Places for requests in progress.

    Args:
        reason: Counted when there is no place.
        refused: Counts it.
        error: The response then.
        most: Places in all.
        most_of_client: Places of one client, so that one that does not read its responses leaves
            some to the others.

    """

    def __init__(
        self,
        reason: Refusal,
        refused: CountRefusal,
        *,
        most: int,
        most_of_client: int,
        error: type[web.HTTPError] = web.HTTPServiceUnavailable,
    ) -> None:
        self._reason = reason
        self._refused = refused
        self._error = error
        self._most = most
        self._most_of_client = most_of_client
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, request: web.Request) -> Iterator[None]:
        """
        Inside the block, *request* has a place.

        Raises:
            HTTPError: There is none.

        """
        client = client_of(request.remote)
        if self._taken.total() >= self._most or self._taken[client] >= self._most_of_client:
            self._refused(self._reason)
            raise self._error(
                text=f"too many {self._reason} in progress; try again later\n",
                headers={hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)},
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
