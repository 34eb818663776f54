"""Uses of keys: what replicas that use one key of VergeOS tell each other about it."""

from alembic import op
from sqlalchemy import Column, Float, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table of uses."""
    op.create_table(
        "key_uses",
        Column("key", Text, primary_key=True),
        Column("replica", Text, primary_key=True),
        Column("time", Float(53), nullable=False),
        Column("use", Text, nullable=False),
        Column("refusal", Text, nullable=False),
    )
