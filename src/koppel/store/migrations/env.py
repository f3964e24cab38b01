"""How Alembic runs here: over the one connection, inside the one transaction that `koppel.store.migrate` hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():
    context.run_migrations()
