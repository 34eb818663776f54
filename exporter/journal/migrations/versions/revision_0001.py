"""The first journal."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    _systems_and_cases()
    _changes()
    _decisions()
    _intents()
    _commands()


def _systems_and_cases() -> None:
    op.create_table(
        "systems",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("watched", sa.Float, nullable=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("clock", sa.Float),
    )
    op.create_table(
        "cases",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("vm_key", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("whole", sa.Text, nullable=False),
    )


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("vm_key", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("changes_of_a_vm", "changes", ["system", "uuid", "id"])
    op.create_index("changes_by_time", "changes", ["time"])
    op.create_index("changes_by_system", "changes", ["system", "id"])


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("vm_key", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("action", sa.Text),
        sa.Column("failed_guard", sa.Text),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("guard_results", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("decisions_of_a_vm", "decisions", ["system", "uuid", "id"])
    op.create_index("decisions_by_time", "decisions", ["time"])
    op.create_index("decisions_by_system", "decisions", ["system", "id"])


def _intents() -> None:
    op.create_table(
        "intents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("vm_key", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("decision", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False),
        sa.Column("prepared_at", sa.Float, nullable=False),
        sa.Column("prepared_time", sa.String(32), nullable=False),
        sa.Column("sent_at", sa.Float),
        sa.Column("sent_clock", sa.Float),
        sa.Column("deadline", sa.Float, nullable=False),
        sa.Column("reply", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("closed_time", sa.String(32)),
        sa.Column("extended", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("intents_of_a_vm", "intents", ["system", "uuid", "id"])
    op.create_index("intents_by_sending", "intents", ["system", "sent_at"])
    op.create_index("intents_by_decision", "intents", ["decision"])
    op.create_index(
        "one_open_intent",
        "intents",
        ["system", "uuid"],
        unique=True,
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("uuid", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("commands_by_system", "commands", ["system", "id"])
