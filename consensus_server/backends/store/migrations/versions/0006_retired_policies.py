"""Federations whose policy names what is gone: the rule `mean_nearest`, and clusterers other than average linkage.

`mean_nearest` becomes `medoid`, which picks the same. The name of another clusterer moves out of the policy to the terms:
such a federation is read, and begins no more rounds. Cards of published rounds stay as they were published.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FEDERATIONS = sa.table("federations", sa.column("id", sa.Integer), sa.column("terms", sa.Text))


def upgrade() -> None:
    connection = op.get_bind()
    for key, terms in connection.execute(sa.select(_FEDERATIONS.c.id, _FEDERATIONS.c.terms)).all():
        renewed = json.dumps(_renewed(json.loads(terms)), ensure_ascii=False)
        connection.execute(sa.update(_FEDERATIONS).where(_FEDERATIONS.c.id == key).values(terms=renewed))


def _renewed(terms: dict[str, Any]) -> dict[str, Any]:
    policy = dict(terms["policy"])
    clusterer = policy.pop("clusterer", "average_linkage")
    if policy.get("rule") == "mean_nearest":
        policy["rule"] = "medoid"
    retired = {} if clusterer == "average_linkage" else {"retired_clusterer": clusterer}
    return {**terms, "policy": policy, **retired}
