"""Hints: records a vendor said had changed, waiting to be looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "hints",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("stream", "native"),
        sqlite_with_rowid=False,
    )
