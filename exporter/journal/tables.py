"""
The journal's tables as they are today.

How a journal of an earlier version gets there is in `migrations`; a test holds the two together.
Numbers named ``at`` are seconds of watch, ``clock`` is the platform's time in Unix seconds, and
``time`` is the time of day. A number (``id``) is never given twice, not even after its row is gone.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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
    text,
)

METADATA = MetaData()


class Moment(TypeDecorator[datetime]):
    """
    A time of day, as ISO 8601 in UTC.

    Always of the same length, so that the text sorts as the time does, and so that a person who
    opens the file can read it.
    """

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone means nothing")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else datetime.fromisoformat(value)


systems = Table(
    "systems",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("watched", Float, nullable=False),
    Column("time", Moment, nullable=False),
    Column("clock", Float),
)

cases = Table(
    "cases",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("uuid", Text, primary_key=True),
    # For people; what is read back is the whole.
    Column("vm_key", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("whole", Text, nullable=False),
)

changes = Table(
    "changes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("system", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("vm_key", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", Moment, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("word", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("changes_of_a_vm", "system", "uuid", "id"),
    Index("changes_by_time", "time"),
    Index("changes_by_system", "system", "id"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("system", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("vm_key", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("action", Text),
    Column("failed_guard", Text),
    Column("mode", Text, nullable=False),
    Column("guard_results", Text, nullable=False),
    Index("decisions_of_a_vm", "system", "uuid", "id"),
    Index("decisions_by_time", "time"),
    Index("decisions_by_system", "system", "id"),
    sqlite_autoincrement=True,
)

intents = Table(
    "intents",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("system", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("vm_key", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("decision", Integer, ForeignKey("decisions.id"), nullable=False),
    Column("prepared_at", Float, nullable=False),
    Column("prepared_time", Moment, nullable=False),
    Column("sent_at", Float),
    Column("sent_clock", Float),
    Column("deadline", Float, nullable=False),
    Column("reply", Text),
    Column("detail", Text, nullable=False),
    Column("outcome", Text),
    Column("closed_time", Moment),
    Column("extended", Boolean, nullable=False),
    Index("intents_of_a_vm", "system", "uuid", "id"),
    Index("intents_by_sending", "system", "sent_at"),
    Index("intents_by_decision", "decision"),
    # The promise that recovery never acts twice at once on one VM is kept here, whoever writes.
    Index(
        "one_open_intent",
        "system",
        "uuid",
        unique=True,
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    sqlite_autoincrement=True,
)

commands = Table(
    "commands",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("system", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("time", Moment, nullable=False),
    Column("until", Float),
    Column("uuid", Text),
    Index("commands_by_system", "system", "id"),
    sqlite_autoincrement=True,
)
