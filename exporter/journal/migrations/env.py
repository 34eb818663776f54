"""What Alembic runs for an upgrade, on the connection that `schema` hands it."""

from alembic import context

from exporter.journal.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite can, and half an upgrade is nothing anybody could use
)
with context.begin_transaction():
    context.run_migrations()
