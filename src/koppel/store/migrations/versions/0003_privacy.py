"""Privacy: cases (erased or restricted people), the keyed digests they are known by, and the records that are only kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "privacy_cases",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("left_out", BIG, server_default="0", nullable=False),
        sa.Column("left_out_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "suppressions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("case_id", BIG, autoincrement=False, nullable=False),
        sa.Column("stream", BIG, server_default="0", autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "case_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "restricted",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("case_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("stream", "native"),
        sqlite_with_rowid=False,
    )
