"""Attention over a packed batch in one kernel, without padding: what `forward` does in pieces where there is no GPU.

A token sees the prefix, and what stands before it in its own row. Blocks of tokens in which nothing is seen are left out;
which those are, the loader finds. The length is a multiple of `PAD`, so that the kernel is compiled for few of them.
"""

from __future__ import annotations

import functools

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface

ATTENTION = "crm_dedup_flex"
PAD, BLOCK = 2048, 128
PREFIX = -1


def plan(prefix: int, lengths: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the kernel must know of a prefix followed by rows of `lengths` (rows,) tokens.

    ``row`` (tokens,) is the row of each token, `PREFIX` for the prefix and a row of its own for the padding at the end; ``counts``
    (blocks,) and ``columns`` (blocks, blocks) are the blocks of keys that each block of queries sees, the seen ones first.
    """
    total = prefix + int(lengths.sum())
    padding = -total % PAD
    sizes = torch.cat([torch.tensor([prefix]), lengths, torch.tensor([padding])])
    row = torch.repeat_interleave(torch.arange(PREFIX, len(lengths) + 1), sizes)
    begins = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    first, here = begins[::BLOCK] // BLOCK, torch.arange(len(row) // BLOCK)
    seen = (here[None] <= here[:, None]) & ((here[None] >= first[:, None]) | (here[None] * BLOCK < prefix))
    columns = seen.int().argsort(dim=1, descending=True, stable=True)
    return {"row": row.int(), "counts": seen.sum(dim=1).int(), "columns": columns.int()}


def mask(row: torch.Tensor, counts: torch.Tensor, columns: torch.Tensor) -> BlockMask:
    """Return the mask of a plan."""

    def sees(_, __, query, key):
        return (key <= query) & ((row[key] == row[query]) | (row[key] == PREFIX))

    return BlockMask.from_kv_blocks(counts[None, None], columns[None, None], BLOCK_SIZE=BLOCK, mask_mod=sees, seq_lengths=(len(row), len(row)))


@functools.cache
def _kernel(compiled: bool):
    return torch.compile(flex_attention, dynamic=False) if compiled else flex_attention


def _attention(module, query, key, value, attention_mask, scaling=None, blocks: BlockMask | None = None, **_):
    """Attend as `blocks` says: all are (1, heads, tokens, width)."""
    attend = _kernel(query.is_cuda)
    seen = attend(query, key, value, block_mask=blocks, scale=scaling, enable_gqa=query.shape[1] != key.shape[1])
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
