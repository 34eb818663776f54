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
_ESCAPE = "\x1a"
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


class EscapedText(TypeDecorator[str]):
    """A text without the NUL characters that PostgreSQL refuses and that names of VMs may have."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or not ("\0" in value or _ESCAPE in value):
            return value
        return value.replace(_ESCAPE, f"{_ESCAPE}1").replace("\0", f"{_ESCAPE}0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or _ESCAPE not in value:
            return value
        return value.replace(f"{_ESCAPE}0", "\0").replace(f"{_ESCAPE}1", _ESCAPE)


TEXT = Text().with_variant(EscapedText(), "postgresql")


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
        Column("system", TEXT, nullable=False),
        Column("uuid", TEXT, nullable=False),
        Column("vm_key", BigInteger, nullable=False),
        Column("name", TEXT, nullable=False),
    ]


def _diagnosis_columns(*, nullable: bool) -> list[Column[Any]]:
    return [Column(name, TEXT, nullable=nullable) for name in DIAGNOSIS_COLUMNS]


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
    Column("system", TEXT, primary_key=True),
    Column("watched", Float, nullable=False),
    Column("time", UTCDateTime, nullable=False),
    Column("clock", Float),
    Column("log_positions", JSON, nullable=False),
)

cases = Table(
    "cases",
    METADATA,
    Column("system", TEXT, primary_key=True),
    Column("uuid", TEXT, primary_key=True),
    Column("case_json", TEXT, nullable=False),
)

log_templates = Table(
    "log_templates",
    METADATA,
    Column("system", TEXT, primary_key=True),
    Column("template", TEXT, primary_key=True),
    Column("example", TEXT, nullable=False),
    Column("sightings", JSON, nullable=False),
    Column("marks", Integer, nullable=False),
    Column("last_mark", TEXT, nullable=False),
    Column("blocked", Integer, nullable=False),
)

changes = _event_table(
    "changes",
    *_diagnosis_columns(nullable=True),
    Column("before", TEXT),
    Column("after", TEXT),
    Column("word", TEXT, nullable=False),
    Column("started_by", TEXT, nullable=False),
)

decisions = _event_table(
    "decisions",
    *_diagnosis_columns(nullable=False),
    Column("state", TEXT, nullable=False),
    Column("action", TEXT),
    Column("failed_guard", TEXT),
    Column("mode", TEXT, nullable=False),
    Column("guard_results", TEXT, nullable=False),
    _epoch(),
)

intents = Table(
    "intents",
    METADATA,
    *_vm_columns(),
    Column("action", TEXT, nullable=False),
    Column("decision", BigInteger, ForeignKey("decisions.id"), nullable=False),
    Column("prepared_at", Float, nullable=False),
    Column("prepared_time", UTCDateTime, nullable=False),
    Column("sent_at", Float),
    Column("sent_position", JSON(none_as_null=True)),
    Column("deadline", Float, nullable=False),
    Column("reply", TEXT),
    Column("detail", TEXT, nullable=False),
    Column("outcome", TEXT),
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
    Column("system", TEXT, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("lag_seconds", Float, nullable=False),
    Column("took_seconds", Float, nullable=False),
    Column("every_seconds", Float, nullable=False),
    Column("began", Float),
    Column("clock", Float),
    Column("problem", TEXT, nullable=False),
    Column("tags_read", Boolean, nullable=False),
    Column("log_positions", JSON(none_as_null=True)),
    Column("log_problem", TEXT, nullable=False),
    Column("log_complete", Boolean, nullable=False),
    Column("random_numbers", JSON(none_as_null=True)),
)
"""One row a poll, so it has no index: only a backtest and the daily pruning read it."""

history_facts = Table(
    "history_facts",
    METADATA,
    _id(),
    Column("system", TEXT, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("key", TEXT, nullable=False),
    Column("value", TEXT),
    Index("history_facts_by_key", "system", "kind", "key", "id"),
)

history_rows = Table(
    "history_rows",
    METADATA,
    _id(),
    Column("system", TEXT, nullable=False),
    Column("time", UnixTime, nullable=False),
    Column("row_json", TEXT, nullable=False),
)

commands = Table(
    "commands",
    METADATA,
    _id(),
    Column("system", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("owner", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", UTCDateTime, nullable=False),
    Column("until", Float),
    Column("uuid", TEXT),
    Column("template", TEXT),
    Column("means", TEXT),
    Column("question", BigInteger),
    _epoch(),
    Index("commands_by_system", "system", "id"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    METADATA,
    Column("system", TEXT, primary_key=True),
    Column("holder", TEXT, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", UTCDateTime, nullable=False),
)
"""Which replica leads recovery of a system, until when by the clock of the database server."""

key_uses = Table(
    "key_uses",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("replica", Text, primary_key=True),
    Column("time", UnixTime, nullable=False),
    Column("use", Text, nullable=False),
    Column("refusal", Text, nullable=False),
)
"""The newest entry of each replica for a key of VergeOS, which is named by a hash."""
