"""What participants state about record-level privacy when they seal."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("seals", sa.Column("privacy", sa.Text(), nullable=True, comment="JSON: what the participant states"))
