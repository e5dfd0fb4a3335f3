"""Batches that say where their rubric ends and where their answers are."""

from dataclasses import dataclass
from typing import Any

from axolotl.utils.collators import DataCollatorForSeq2Seq

from crm_dedup_plugin.training import shared_prefix


@dataclass
class LocatingCollator(DataCollatorForSeq2Seq):
    """Axolotl's collator, which also finds in the loader's processes what the forward pass would have to wait for the GPU to tell."""

    flexible: bool = False  # prepare the attention in one kernel, which needs a GPU

    def __call__(self, features: list[dict], return_tensors: str | None = None) -> dict[str, Any]:
        """Return a padded batch (rows, tokens), and `shared_prefix.locate` of it."""
        batch = dict(super().__call__(features, return_tensors))
        return batch | {"located": shared_prefix.locate(batch["input_ids"], batch["attention_mask"], batch["labels"], True, self.flexible)}
