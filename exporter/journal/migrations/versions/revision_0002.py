"""Leases: which replica acts, and the epoch of the lease that a row was written under."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, String, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table of leases and the columns for epochs."""
    until = DateTime(timezone=True).with_variant(String(32), "sqlite")
    op.create_table(
        "leases",
        Column("system", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("until", until, nullable=False),
    )
    for table in ("intents", "decisions", "commands"):
        op.add_column(table, Column("epoch", BigInteger))
