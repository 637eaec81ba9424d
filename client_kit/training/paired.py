"""TRL's DPOTrainer on pairs that are token ids already."""

from typing import Any

from trl import DPOTrainer


class PreparedDPOTrainer(DPOTrainer):  # type: ignore[misc]  # trl is untyped here
    """Takes rows of `prompt_ids`, `chosen_ids` and `rejected_ids` as they are."""

    def _prepare_dataset(self, dataset: Any, *_given: Any) -> Any:  # noqa: ANN401 - TRL's signature
        return dataset
