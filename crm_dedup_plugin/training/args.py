"""Keys that the plugin adds to an Axolotl configuration."""

from pydantic import BaseModel, Field


class CrmDedupArgs(BaseModel):
    """Checked by Axolotl together with its own keys."""

    crm_dedup_shared_prefix: bool = Field(
        default=False,
        description="Compute the rubric once for all rows of a batch. Needs sample_packing and gradient_checkpointing off.",
    )
    crm_dedup_flex: bool = Field(
        default=False,
        description="With crm_dedup_shared_prefix, on a GPU: attend in one kernel that leaves out what no token sees.",
    )
    crm_dedup_cpu: bool = Field(
        default=False,
        description="Train in fp32 where there is no GPU, instead of refusing: for a model that is small enough.",
    )
    crm_dedup_decision_weight: float = Field(
        default=1.0,
        gt=0,
        description="How many times another token's loss that of the token which decides counts.",
    )
