"""Identity: the blocks weak evidence is compared within, and what people hold apart."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "kind", "value", "native"),
        sqlite_with_rowid=False,
    )
    op.create_index("blocks_native", "blocks", ["stream", "native"])
    op.create_table(
        "block_positions",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("seq", BIG, server_default="0", nullable=False),
        sa.Column("kinds", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("stream"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "apart",
        sa.Column("one_stream", BIG, autoincrement=False, nullable=False),
        sa.Column("one_native", sa.Text(), nullable=False),
        sa.Column("two_stream", BIG, autoincrement=False, nullable=False),
        sa.Column("two_native", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by_whom", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("keys", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("one_stream", "one_native", "two_stream", "two_native"),
        sqlite_with_rowid=False,
    )
    op.create_index("apart_two", "apart", ["two_stream", "two_native"])
