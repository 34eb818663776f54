"""
Asks Prometheus about VMs. No failure raises: each becomes the problem of a `Confirmation`.

Its text contains no credentials, and of what was received only the error that Prometheus names.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import aiohttp
import msgspec

from exporter import http
from exporter.errors import ConfigError, PrometheusError
from exporter.http import connection_error_reason, read_body
from exporter.inputs.live_file import FileWatch
from exporter.prometheus.config import ConfirmationSettings, PrometheusSettings
from exporter.prometheus.query_template import NAMES, filled, uses
from exporter.recovery.model.confirmation import Confirmation, ConfirmationQuery
from exporter.tolerant_json import UNREADABLE, LostValue, decode_object, split_list

QUERY = "/api/v1/query"
MAX_BODY_BYTES = 2**20
MAX_CONNECTIONS = 20
MAX_ERROR_CHARS = 300


class _Sample(msgspec.Struct):
    value: tuple[float, str]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Response(msgspec.Struct):
    data: _Data | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()


class PrometheusConfirmer:
    """
    The `Confirmer` of one system.

    Args:
        session: From `make_session`; the caller closes it.
        system_name: Returns the current name of the system.

    """

    def __init__(
        self,
        settings: ConfirmationSettings,
        session: aiohttp.ClientSession,
        system_name: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._session = session
        self._system_name = system_name

    @property
    def goes_on(self) -> bool:
        return self._settings.unreachable == "go_on"

    def is_needed(self, vm_name: str, /) -> bool:
        return bool(self._settings.query_of(vm_name))

    async def find_problem(self) -> str:
        return (await self.evaluate("vector(1)")).problem

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        return await asyncio.gather(*(self._ask(one) for one in queries))

    async def _ask(self, about: ConfirmationQuery) -> Confirmation:
        template = self._settings.query_of(about.vm_name)
        values = dict(zip(NAMES, (about.vm_name, about.uuid, self._system_name()), strict=True))
        for name, value in values.items():
            if not value and uses(template, name):
                # An empty matcher selects the series without that label, whatever they are about.
                return Confirmation(template, problem=f"{{{{{name}}}}} is empty")
        return await self.evaluate(filled(template, values, seconds=about.window_seconds))

    async def evaluate(self, query: str) -> Confirmation:
        """Return the result of *query* now."""
        try:
            status, body = await ask(self._settings, self._session, QUERY, {"query": query})
        except PrometheusError as error:
            return Confirmation(query, problem=str(error), unreachable=error.unreachable)
        return _result(query, self._settings.url, status, body)


async def ask(
    settings: PrometheusSettings,
    session: aiohttp.ClientSession,
    path: str,
    params: Mapping[str, str],
) -> tuple[int, bytes | None]:
    """
    Return the status and the body of a response to a query; None for a body that is too long.

    Raises:
        PrometheusError: There is no response, or it says that Prometheus fails or who asks is
            not allowed to.

    """
    url, seconds = settings.url, settings.timeout_seconds
    try:
        async with (
            asyncio.timeout(seconds),
            session.get(
                url + path,
                params={**params, "timeout": f"{seconds:g}s"},
                headers=settings.auth_headers(),
                allow_redirects=False,
            ) as response,
        ):
            status, body = response.status, await read_body(response, MAX_BODY_BYTES)
    except ConfigError as error:
        raise PrometheusError(f"{url}: {error}") from None
    except TimeoutError:
        problem = f"{url} did not respond within {seconds:g} s"
        raise PrometheusError(problem, unreachable=True) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        problem = f"{url}: {connection_error_reason(error, section=settings.section)}"
        raise PrometheusError(problem, unreachable=True) from None
    if status >= 500:  # noqa: PLR2004
        raise PrometheusError(f"{url} returned {status}", unreachable=True)
    if status in (401, 403):
        raise PrometheusError(f"{url} returned {status}: check the password or the token")
    return status, body


def session_maker(
    settings: PrometheusSettings, watch: FileWatch | None = None
) -> Callable[[], aiohttp.ClientSession]:
    """
    Return what makes sessions that open a new connection for each request.

    The CA file is read here, and followed: while it is being replaced, the certificates that it had
    stay in force.

    Args:
        watch: Reports a CA file that becomes invalid.

    Raises:
        ConfigError: The CA file or the proxy cannot be used.

    """
    return partial(
        http.make_session,
        settings.ssl_context(watch),
        connect_seconds=settings.timeout_seconds,
        proxies=settings.proxies(),
        force_close=True,
        limit=MAX_CONNECTIONS,
    )


def make_session(
    settings: PrometheusSettings, watch: FileWatch | None = None
) -> aiohttp.ClientSession:
    """Return one session; see `session_maker`."""
    return session_maker(settings, watch)()


def _result(query: str, url: str, status: int, body: bytes | None) -> Confirmation:
    """Return what a response says."""
    try:
        lost: list[LostValue] = []
        response = decode_object(body or b"", _Response, lost)
        error = _printable(response.error or "; ".join(response.warnings))
        if error:
            return Confirmation(query, problem=f"{url}: {error}")
        values = _values(response.data) if not lost else None
    except (*UNREADABLE, ValueError):
        values = None
    if status != 200 or values is None:  # noqa: PLR2004
        problem = f"{url} returned {status} and no vector or scalar: check the URL and the query"
        return Confirmation(query, problem=problem)
    return Confirmation(query, values)


def _values(data: _Data | None) -> tuple[float, ...] | None:
    """Return the value of each sample; None if it is neither a vector nor a scalar."""
    match data:
        case _Data(result_type="vector"):
            samples = [decode_object(one, _Sample, []) for one in split_list(bytes(data.result))]
            return tuple(float(one.value[1]) for one in samples)
        case _Data(result_type="scalar"):
            return (float(msgspec.json.decode(data.result, type=tuple[float, str])[1]),)
        case _:
            return None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:MAX_ERROR_CHARS]).strip()
