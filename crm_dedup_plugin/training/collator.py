"""Batches that say where their rubric ends and where their answers are."""

from typing import Any

from axolotl.utils.collators import DataCollatorForSeq2Seq

from crm_dedup_plugin.training import shared_prefix


class LocatingCollator(DataCollatorForSeq2Seq):
    """Axolotl's collator, with what the forward pass would have to ask the GPU for: the loader's processes find it meanwhile."""

    flexible = False

    def __call__(self, features: list[dict], return_tensors: str | None = None) -> dict[str, Any]:
        """Return a padded batch (rows, tokens), and `shared_prefix.locate` of it."""
        batch = dict(super().__call__(features, return_tensors))
        return batch | {"located": shared_prefix.locate(batch["input_ids"], batch["attention_mask"], batch["labels"], True, self.flexible)}


class FlexibleCollator(LocatingCollator):
    """The same for the attention of one kernel, which needs a GPU."""

    flexible = True
