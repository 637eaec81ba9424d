"""Records that are kept as JSON, because nothing ever asks for a part of them."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, TypeAdapter

from consensus_server.core.federations import Manifest, Terms
from consensus_server.core.labels import AnswerFate, ClusterContest, RoundCard
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.core.pulling import Endpoint, Pull
from consensus_server.core.rounds import AggregationProgress, Round
from consensus_server.core.signing import Signed

T = TypeVar("T")


class JsonColumn(Generic[T]):
    """To and from the text in the column. What is read equals what was written."""

    def __init__(self, adapter: TypeAdapter[T]) -> None:
        self._adapter = adapter

    def write(self, record: T) -> str:
        return self._adapter.dump_json(record).decode()

    def read(self, text: str) -> T:
        return self._adapter.validate_json(text)


def _with_its_clusterer(card: Any) -> Any:  # noqa: ANN401 - whatever the column holds
    """Version 0.1.0 kept the name of the clusterer in the policy; what was published is not rewritten."""
    clusterer = card["policy"].pop("clusterer", "average_linkage")
    return card if clusterer == "average_linkage" else {**card, "retired_clusterer": clusterer}


def _of_a_card(card: Any) -> Any:  # noqa: ANN401 - whatever the column holds
    """Version 0.1.0 looked for no contradictions and decided by support; what was published is not rewritten."""
    card["policy"] = {"contradictions": "none", "decide_by": "support", "second_hand": "count"} | card["policy"]
    return _with_its_clusterer(card)


MANIFEST = JsonColumn(TypeAdapter(Manifest))
TERMS = JsonColumn(TypeAdapter(Terms))
PROGRESS = JsonColumn(TypeAdapter(AggregationProgress))
ROUND = JsonColumn(TypeAdapter(Round))
FATES = JsonColumn(TypeAdapter(tuple[AnswerFate, ...]))
CONTESTS = JsonColumn(TypeAdapter(tuple[ClusterContest, ...]))
ENDPOINT = JsonColumn(TypeAdapter(Endpoint))
PULL = JsonColumn(TypeAdapter(Pull))
SIGNED = JsonColumn(TypeAdapter(Signed))
PRIVACY = JsonColumn(TypeAdapter(PrivacyStatement))
CARD = JsonColumn(TypeAdapter(Annotated[RoundCard, BeforeValidator(_of_a_card)]))
