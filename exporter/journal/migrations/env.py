"""Alembic's environment: runs the migrations on the connection of `exporter.journal.migrate`."""

from alembic import context

from exporter.journal.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite supports it; a failed upgrade must leave no trace
)
with context.begin_transaction():
    context.run_migrations()
