"""Batches with the positions of their rubric and of their answers."""

from dataclasses import dataclass
from typing import Any

from axolotl.utils.collators import DataCollatorForSeq2Seq

from crm_dedup_plugin.training import shared_prefix


@dataclass
class LocatingCollator(DataCollatorForSeq2Seq):
    """Axolotl's collator; it also locates rubric and answers, in the data loader's processes, so that no forward pass waits for the GPU."""

    flexible: bool = False  # prepare the attention in one kernel, which needs a GPU

    def __call__(self, features: list[dict], return_tensors: str | None = None) -> dict[str, Any]:
        """Return a padded batch (rows, tokens), and `shared_prefix.locate` of it."""
        batch = dict(super().__call__(features, return_tensors))
        return batch | {"located": shared_prefix.locate(batch["input_ids"], batch["attention_mask"], batch["labels"], True, self.flexible)}
