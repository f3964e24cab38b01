"""When a flow was first let write: the first run is looked at by a person. Flows that have linked anything have begun."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flows", sa.Column("begun", sa.Double(), nullable=True))
    op.execute("update flows set begun = 0 where exists (select 1 from bases where bases.flow = flows.id)")
