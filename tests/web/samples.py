"""Reports of systems in various states, and a manual clock."""

from datetime import UTC, datetime, timedelta

from exporter.model import Identity, RecentError, SystemReport, TableReport

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def table(
    name: str = "vms",
    *,
    success: bool | None = True,
    fresh: bool = True,
    seconds_ago: float | None = 12,
    error: str | None = None,
    rows: int | None = 412,
    skipped: int | None = 0,
) -> TableReport:
    return TableReport(
        table=name,
        every_seconds=30.0,
        success=success,
        fresh=fresh,
        last_success_at=None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago),
        duration_seconds=None if success is None else 0.042,
        rows=rows,
        rows_skipped=skipped,
        failures_total=0,
        rows_skipped_total=0,
        error=error,
    )


def unread(name: str) -> TableReport:
    return table(name, success=None, fresh=False, seconds_ago=None, rows=None, skipped=None)


def system(
    name: str = "production",
    *,
    up: bool = True,
    authenticated: bool = True,
    seconds_ago: float | None = 12,
    tables: tuple[TableReport, ...] | None = None,
    recent_errors: tuple[RecentError, ...] = (),
) -> SystemReport:
    return SystemReport(
        system_name=name,
        url="https://verge.example.net",
        identity=Identity(name, "26.1.2"),
        up=up,
        authenticated=authenticated,
        taken_at=None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago),
        tables=(table(), table("machine_status")) if tables is None else tables,
        requests_remaining=612,
        requests_per_hour=742,
        recent_errors=recent_errors,
    )


def waiting(name: str = "production") -> SystemReport:
    return SystemReport(
        system_name=name,
        url="https://verge.example.net",
        identity=None,
        up=False,
        authenticated=True,
        taken_at=None,
        tables=(unread("vms"), unread("machine_status")),
        requests_remaining=850,
        requests_per_hour=742,
        recent_errors=(),
    )


REFUSED_ERROR = "/api/v4/vms answered 401: the credentials are refused"


def refused(name: str = "laboratory") -> SystemReport:
    lost = {"success": False, "fresh": False, "seconds_ago": 240, "error": REFUSED_ERROR}
    return system(
        name,
        up=False,
        authenticated=False,
        seconds_ago=None,
        tables=(table("vms", **lost), table("machine_status", **lost)),  # type: ignore[arg-type]
        recent_errors=(
            RecentError(NOW - timedelta(seconds=230), f"vms, machine_status: {REFUSED_ERROR}"),
        ),
    )
