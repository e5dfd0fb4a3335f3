"""Attention over a packed batch in one kernel, without padding. Without a GPU, `shared_prefix` does the same in two steps.

A token attends to the prefix and to the tokens before it in its own row. Blocks without any such pair are skipped; the data loader finds
them. Lengths are multiples of `PAD`, so that the kernel is compiled for few of them. The keys of the prefix are repeated `COPIES` times:
in the backward pass, all queries that attend to the same block of keys wait for each other.
"""

import functools

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface

ATTENTION = "crm_dedup_flex"
PAD, BLOCK, COPIES = 4096, 128, 16
PREFIX = -1


def plan(prefix: int, lengths: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the kernel needs to know about a prefix followed by rows of `lengths` (rows,) tokens.

    ``row`` (tokens,) is the row of each token, `PREFIX` for the prefix and a row of its own for the padding at the end; ``counts``
    (blocks,) and ``columns`` (blocks, blocks of keys) are the blocks of keys that each block of queries attends to, those first.
    """
    sizes = torch.cat([torch.tensor([prefix]), lengths, torch.tensor([-(prefix + int(lengths.sum())) % PAD])])
    row = torch.repeat_interleave(torch.arange(PREFIX, len(lengths) + 1), sizes)
    begins = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    first, here = begins[::BLOCK] // BLOCK, torch.arange(len(row) // BLOCK)
    own = (here[None] <= here[:, None]) & (here[None] >= first[:, None])
    copy = torch.arange(COPIES).repeat_interleave(_copied(prefix) // BLOCK)
    rubric = (copy[None] == here[:, None] % COPIES) & ((here[:, None] + 1) * BLOCK > prefix)
    seen = torch.cat([rubric, own], dim=1)
    columns = seen.int().argsort(dim=1, descending=True, stable=True)
    return {"row": row.int(), "counts": seen.sum(dim=1).int(), "columns": columns.int()}


def mask(prefix: int, row: torch.Tensor, counts: torch.Tensor, columns: torch.Tensor) -> BlockMask:
    """Return the mask of a plan: (tokens, copies of the prefix and tokens)."""
    copied = _copied(prefix)
    before = copied * COPIES

    def sees(_, __, query, key):
        of_row = (key >= before) & (key - before <= query) & (row[(key - before).clamp(min=0)] == row[query])
        of_copy = (key < before) & (key // copied == query // BLOCK % COPIES) & (key % copied < prefix) & (row[query] != PREFIX)
        return of_row | of_copy

    lengths = (len(row), before + len(row))
    return BlockMask.from_kv_blocks(counts[None, None], columns[None, None], BLOCK_SIZE=BLOCK, mask_mod=sees, seq_lengths=lengths)


def _copied(prefix: int) -> int:
    """Return how many tokens a copy of the prefix takes: whole blocks."""
    return -(-prefix // BLOCK) * BLOCK


@functools.cache
def _kernel(compiled: bool):
    if not compiled:
        return flex_attention
    torch._dynamo.config.recompile_limit = 64  # lengths; beyond the limit all scores would be written out
    return torch.compile(flex_attention, dynamic=False)


def _attention(module, query, key, value, attention_mask, scaling=None, blocks: BlockMask | None = None, **_):
    """Attend as `blocks` says: all are (1, heads, tokens, width)."""
    copied = (blocks.seq_lengths[1] - blocks.seq_lengths[0]) // COPIES
    keys, values = (torch.cat([one[:, :, None, :copied].expand(-1, -1, COPIES, -1, -1).flatten(2, 3), one], dim=2) for one in (key, value))
    attend = _kernel(query.is_cuda)
    seen = attend(query, keys, values, block_mask=blocks, scale=scaling, enable_gqa=query.shape[1] != key.shape[1])
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
