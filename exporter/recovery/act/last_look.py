"""The last look before an action: what was read, how long ago, and what forbids it."""

from exporter.clock import Clock, Moment, moment, seconds_between
from exporter.errors import VergeOSError
from exporter.recovery.act.request import ActionRequest, obsolete
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import Platform

LAST_CHECK_SECONDS = 1.0
"""At most so much time from the last check to the first byte of the request."""


class LastLook:
    """
    Reads what an action rests on, and says whether it may be sent.

    Args:
        request: Its logs were read last when it was decided on.

    """

    def __init__(
        self, request: ActionRequest, platform: Platform, limits: Limits, clock: Clock
    ) -> None:
        self._request = request
        self._platform = platform
        self._limits = limits
        self._clock = clock
        self._read_at = request.read_at

    async def read_vm(self) -> str:
        """Read the VM and its tags; return why the action does not fit them, or nothing."""
        try:
            fresh = await self._platform.read_vm(self._request.case.key)
        except VergeOSError as error:
            return f"the VM could not be read again: {error}"
        return obsolete(self._request, fresh)

    def forbidden(self) -> str:
        """Return why the action must not be sent at this moment; empty if it may."""
        begun_at = moment(self._clock)
        reason = self._request.forbidden()
        if reason:
            return reason
        took = self._seconds_since(begun_at)
        if took > LAST_CHECK_SECONDS:
            return f"the last check took {took:.0f} s"
        age = self._seconds_since(self._read_at)
        if age > self._limits.reread_age_seconds:
            return f"the VM and the logs were read {age:.0f} s ago"
        return ""

    async def on_connection(self) -> str:
        """
        Return why the action must not be sent, now that its connection is established.

        What was read longer ago than the last check may be is read again: a slow connection
        neither hides a stop nor prevents the action.
        """
        if self._seconds_since(self._read_at) > LAST_CHECK_SECONDS:
            self._read_at = moment(self._clock)
            reason = await self._request.overtaken() or await self.read_vm()
            if reason:
                return reason
        begun_at = moment(self._clock)
        if reason := await self._request.overruled():
            return reason
        took = self._seconds_since(begun_at)
        if took > LAST_CHECK_SECONDS:
            return f"reading the commands of other replicas took {took:.0f} s"
        return self.forbidden()

    def _seconds_since(self, then: Moment) -> float:
        return seconds_between(then, moment(self._clock))
