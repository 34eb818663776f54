"""The tables of the first release."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Do nothing: `exporter.journal.schema` created these tables and recorded this revision."""
