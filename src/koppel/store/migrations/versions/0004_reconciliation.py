"""Reconciliation: when a listing was begun, when a flow last read both sides whole, which totals were signed off."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "scans",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reconciled",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=True),
        sa.Column("wanted", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("flow"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signed_totals",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("entry", BIG, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "period"),
        sqlite_with_rowid=False,
    )
