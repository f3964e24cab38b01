"""Which two streams a flow is between: decisions about a record hold for every flow between the same two."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "flow_ends",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("left_stream", BIG, autoincrement=False, nullable=False),
        sa.Column("right_stream", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("flow"),
        sqlite_with_rowid=False,
    )
