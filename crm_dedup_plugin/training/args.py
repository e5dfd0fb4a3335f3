"""Keys that the plugin adds to an Axolotl configuration."""

from __future__ import annotations

from pydantic import BaseModel, Field


class CrmDedupArgs(BaseModel):
    """Checked by Axolotl together with its own keys."""

    crm_dedup_shared_prefix: bool = Field(
        default=False,
        description="Compute the rubric once for all rows of a batch. Needs sample_packing and gradient_checkpointing off.",
    )
