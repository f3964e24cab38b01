"""Needs: which other records a flow's records refer to, and for which of those they wait."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "needs",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("wanted", BIG, autoincrement=False, nullable=False),
        sa.Column("met", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("flow", "side", "native", "stream", "target", "wanted"),
        sqlite_with_rowid=False,
    )
    op.create_index("needs_target", "needs", ["stream", "target"])
