"""Keys that the plugin adds to an Axolotl configuration."""

from pydantic import BaseModel, Field


class CrmDedupArgs(BaseModel):
    """The keys; Axolotl validates them together with its own."""

    crm_dedup_shared_prefix: bool = Field(
        default=False, description="Compute the rubric once for all rows of a batch. Needs sample_packing and gradient_checkpointing to be off."
    )
    crm_dedup_flex: bool = Field(
        default=False,
        description="With crm_dedup_shared_prefix, on a GPU: compute attention in one kernel that skips blocks which no token attends to.",
    )
    crm_dedup_cpu: bool = Field(default=False, description="Without a GPU, train in fp32 instead of refusing. Only for small models.")
    crm_dedup_amx: bool = Field(
        default=False,
        description="Without a GPU, multiply in bf16 as on a GPU, where the processor has AMX: weights, attention and optimizer stay in fp32.",
    )
    crm_dedup_decision_weight: float = Field(
        default=1.0, gt=0, description="Weight of the loss of the token that decides, relative to the other tokens of the answer."
    )
