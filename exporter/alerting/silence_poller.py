"""Polls the silences of one Alertmanager."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.silences import Silence, SilencesResponse
from exporter.clock import Clock
from exporter.formatting import counted
from exporter.telemetry import AlertmanagerMeter

log = structlog.get_logger()

MISSED_POLLS = 3
"""After how many failed polls the silences count as unknown."""
REFRESH_SECONDS = 1.0
"""An action that waits for the silences gets outdated."""


class SilencePoller:
    """
    Keeps the last silences of one Alertmanager.

    A failed poll changes nothing. A silence that disappears counts as expired at that poll.
    """

    def __init__(
        self, url: str, settings: AlertmanagerSettings, clock: Clock, meter: AlertmanagerMeter
    ) -> None:
        self.url = url
        self.response: SilencesResponse | None = None
        """The last response, however old."""
        self.on_response: Callable[[], None] = lambda: None
        """Called after `response` has changed."""
        self._settings = settings
        self._clock = clock
        self._meter = meter
        self._polled_at = clock.monotonic()
        """When the last successful poll was."""
        self._lost: list[Silence] = []
        self._alertmanager: Alertmanager | None = None
        self._error = "not polled yet"
        self._outcome = ""

    @property
    def unknown(self) -> str:
        """Why its silences are unknown; empty if they are known."""
        age = self._clock.monotonic() - self._polled_at
        if self.response is None or age > MISSED_POLLS * self._settings.silences_every_seconds:
            return f"silences of {self.url} are unknown for {age:.0f} s: {self._error}"
        invalid = self.response.invalid
        return f"{counted(invalid, 'silence')} of {self.url} cannot be decoded" if invalid else ""

    def take_over(self, former: "SilencePoller") -> None:
        """Continue with what *former* knows of the same Alertmanager."""
        self.response = former.response
        for name in ("_polled_at", "_lost", "_error", "_outcome"):
            setattr(self, name, getattr(former, name))

    def has(self, silence_id: str) -> bool:
        """Return whether its Alertmanager had the silence at the last poll."""
        known = self.response.silences if self.response is not None else ()
        return any(one.id == silence_id for one in known)

    @property
    def is_running(self) -> bool:
        return self._alertmanager is not None

    async def run(self, alertmanager: Alertmanager) -> None:
        self._alertmanager = alertmanager
        while True:
            await self.poll(alertmanager)
            await self._clock.sleep(self._settings.silences_every_seconds)

    async def refresh(self) -> None:
        """Poll once more, now; give up after `REFRESH_SECONDS`."""
        if self._alertmanager is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS):
                await self.poll(self._alertmanager)

    async def poll(self, alertmanager: Alertmanager) -> None:
        try:
            response = await alertmanager.silences()
        except AlertmanagerError as error:
            self._meter.set_up(self.url, up=False)
            self._error = str(error)
            if error.outcome != self._outcome:
                log.warning("silences.poll_failed", error=str(error))
            self._outcome = error.outcome
        else:
            self.accept(response)
        self._meter.set_silences_known(self.url, known=not self.unknown)

    def accept(self, response: SilencesResponse) -> None:
        """Take over the response of a successful poll, unless a later one came before it."""
        if self.response is not None and response.at < self.response.at:
            return
        self._meter.set_up(self.url, up=True)
        self._meter.set_silences(self.url, response.active, self._clock.now().timestamp())
        if self._outcome:
            log.info("silences.poll_recovered", alertmanager=self.url)
        invalid_before = self.response.invalid if self.response is not None else 0
        if response.invalid and response.invalid != invalid_before:
            log.warning("silences.invalid", alertmanager=self.url, silences=response.invalid)
        self.response, self._polled_at = self._with_lost(response), self._clock.monotonic()
        self._error = self._outcome = ""
        self.on_response()

    def _with_lost(self, response: SilencesResponse) -> SilencesResponse:
        """Add the active silences that have disappeared since the last response, as expired."""
        ids = {silence.id for silence in response.silences}
        after_seconds = self._settings.after_silence_seconds
        before = self.response.silences if self.response is not None else ()
        self._lost = [
            silence
            for silence in self._lost
            if silence.id not in ids
            and (response.time - silence.ends_at).total_seconds() < after_seconds
        ] + [
            silence.expired_at(response.time)
            for silence in before
            if silence.id not in ids and silence.is_active
        ]
        return response._replace(silences=[*response.silences, *self._lost])
