"""
The journal's tables. `migrations` changes the tables of older journals to these.

Columns named ``at`` are seconds of monitored time, ``clock`` is VergeOS's time in Unix seconds,
``time`` is the time of day. SQLite's AUTOINCREMENT never assigns an ``id`` twice.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.event import listen
from sqlalchemy.types import TypeEngine

METADATA = MetaData()
DIAGNOSIS_COLUMNS = ("kind", "cause", "detail", "template")


class UTCDateTime(TypeDecorator[datetime]):
    """
    A time; where the database has no type for it, as ISO 8601 text in UTC.

    The text has a fixed length, so that it sorts like the time.
    """

    impl = String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone is ambiguous")
        if dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(
        self,
        value: datetime | str | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class UnixTime(TypeDecorator[datetime]):
    """A time as Unix seconds, for rows that should be short."""

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else datetime.fromtimestamp(value, UTC)


def _id() -> Column[int]:
    # SQLite assigns the values of an INTEGER only, which has 64 bits there.
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column("id", kind, primary_key=True)


def _epoch() -> Column[Any]:
    """Return the column for the epoch of the lease that the row was written under."""
    return Column("epoch", BigInteger)


def _vm_columns() -> list[Column[Any]]:
    return [
        _id(),
        Column("system", Text, nullable=False),
        Column("uuid", Text, nullable=False),
        Column("vm_key", BigInteger, nullable=False),
        Column("name", Text, nullable=False),
    ]


def _diagnosis_columns(*, nullable: bool) -> list[Column[Any]]:
    return [Column(name, Text, nullable=nullable) for name in DIAGNOSIS_COLUMNS]


def _event_table(name: str, *columns: Column[Any]) -> Table:
    """Return a table of events in the life of VMs."""
    return Table(
        name,
        METADATA,
        *_vm_columns(),
        Column("at", Float, nullable=False),
        Column("time", UTCDateTime, nullable=False),
        *columns,
        Index(f"{name}_by_vm", "system", "uuid", "id"),
        Index(f"{name}_by_time", "time"),
        Index(f"{name}_by_system", "system", "id"),
        sqlite_autoincrement=True,
    )


systems = Table(
    "systems",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("watched", Float, nullable=False),
    Column("time", UTCDateTime, nullable=False),
    Column("clock", Float),
    Column("log_positions", JSON, nullable=False),
)

cases = Table(
    "cases",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("uuid", Text, primary_key=True),
    Column("case_json", Text, nullable=False),
)

log_templates = Table(
    "log_templates",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("template", Text, primary_key=True),
    Column("example", Text, nullable=False),
    Column("sightings", JSON, nullable=False),
    Column("marks", Integer, nullable=False),
    Column("last_mark", Text, nullable=False),
    Column("blocked", Integer, nullable=False),
)

changes = _event_table(
    "changes",
    *_diagnosis_columns(nullable=True),
    Column("before", Text),
    Column("after", Text),
    Column("word", Text, nullable=False),
    Column("started_by", Text, nullable=False),
)

decisions = _event_table(
    "decisions",
    *_diagnosis_columns(nullable=False),
    Column("state", Text, nullable=False),
    Column("action", Text),
    Column("failed_guard", Text),
    Column("mode", Text, nullable=False),
    Column("guard_results", Text, nullable=False),
    _epoch(),
)

intents = Table(
    "intents",
    METADATA,
    *_vm_columns(),
    Column("action", Text, nullable=False),
    Column("decision", BigInteger, ForeignKey("decisions.id"), nullable=False),
    Column("prepared_at", Float, nullable=False),
    Column("prepared_time", UTCDateTime, nullable=False),
    Column("sent_at", Float),
    Column("sent_position", JSON(none_as_null=True)),
    Column("deadline", Float, nullable=False),
    Column("reply", Text),
    Column("detail", Text, nullable=False),
    Column("outcome", Text),
    Column("closed_time", UTCDateTime),
    Column("extended", Boolean, nullable=False),
    Column("time_to_service_seconds", Float),
    _epoch(),
    Index("intents_by_vm", "system", "uuid", "id"),
    Index("intents_by_sent_at", "system", "sent_at"),
    Index("intents_by_decision", "decision"),
    sqlite_autoincrement=True,
)
# The database itself guarantees that a VM never has two open actions. This is not an `Index`
# because its `postgresql_where` would import the dialect of PostgreSQL.
listen(
    intents,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "CREATE UNIQUE INDEX one_open_intent ON intents (system, uuid) WHERE outcome IS NULL"
    ),
)

history_polls = Table(
    "history_polls",
    METADATA,
    _id(),
    Column("system", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("lag_seconds", Float, nullable=False),
    Column("took_seconds", Float, nullable=False),
    Column("every_seconds", Float, nullable=False),
    Column("began", Float),
    Column("clock", Float),
    Column("problem", Text, nullable=False),
    Column("tags_read", Boolean, nullable=False),
    Column("log_positions", JSON(none_as_null=True)),
    Column("log_problem", Text, nullable=False),
    Column("log_complete", Boolean, nullable=False),
    Column("random_numbers", JSON(none_as_null=True)),
)
"""One row a poll, so it has no index: only a backtest and the daily pruning read it."""

history_facts = Table(
    "history_facts",
    METADATA,
    _id(),
    Column("system", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text),
    Index("history_facts_by_key", "system", "kind", "key", "id"),
)

history_rows = Table(
    "history_rows",
    METADATA,
    _id(),
    Column("system", Text, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("row_json", Text, nullable=False),
)

commands = Table(
    "commands",
    METADATA,
    _id(),
    Column("system", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UTCDateTime, nullable=False),
    Column("until", Float),
    Column("uuid", Text),
    Column("template", Text),
    Column("means", Text),
    Column("question", BigInteger),
    _epoch(),
    Index("commands_by_system", "system", "id"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", UTCDateTime, nullable=False),
)
"""Which replica may poll and act, until when by the clock of the database server."""
