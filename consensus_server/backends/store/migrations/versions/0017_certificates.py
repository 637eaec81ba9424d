"""The client certificates that participants show."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "participants",
        sa.Column(
            "certificates", sa.Text(), nullable=True, comment="SHA-256 of those it must show, with spaces between"
        ),
    )
