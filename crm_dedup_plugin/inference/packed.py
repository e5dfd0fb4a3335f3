"""Score many prompts in one forward pass: packed without padding, and what prompts have in common computed once.

All prompts begin with the same rubric, and those of a match often with the same record. On a GPU, one kernel attends over rows of any length.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache

from crm_dedup_plugin.pair import tokens

ATTENTION = "crm_dedup_packed"
# Of a batch, its tokens times the width of the model: enough work for a GPU, in 2 GB of its memory, and what suits the caches of a processor.
NUMBERS = {"cuda": 2**26, "cpu": 2**21}


class Layout(NamedTuple):
    """Which keys each row of a batch sees: places among those of the prefix, followed by those of the packed tokens."""

    keys: torch.Tensor  # (keys,), one row after the other
    queries_end: torch.Tensor  # (rows + 1,) where the queries of each row begin and end
    keys_end: torch.Tensor  # (rows + 1,) the same of its keys
    longest: tuple[int, int]  # the most queries, and the most keys, of a row


class Packed(NamedTuple):
    """Prompts without the prefix, each without what it has in common with the one before."""

    ids: np.ndarray  # (tokens,)
    positions: np.ndarray  # (tokens,) in their prompts
    sizes: np.ndarray  # (rows,) tokens of each row
    seen: list[np.ndarray]  # of each row, the places of all tokens of its prompt after the prefix


class Scorer:
    """Asks a causal language model of Transformers which of the tokens `choices` follows a prompt; most prompts begin like `prefix`."""

    def __init__(self, model, choices: Sequence[int], prefix: list[int]):
        self.model, self.choices, self.prefix = model, torch.tensor(choices, device=model.device), prefix
        cache = DynamicCache(config=model.config)
        with torch.inference_mode():
            model.model(input_ids=torch.tensor([prefix], device=model.device), past_key_values=cache)
        attentions = (module for module in model.model.modules() if hasattr(module, "layer_idx"))
        for module, layer in zip(attentions, cache.layers, strict=True):  # keys and values, (tokens, heads, width)
            module.crm_dedup_prefix = tuple(states[0].transpose(0, 1).contiguous() for states in (layer.keys, layer.values))
        if model.device.type == "cuda":
            for layer in model.model.layers:  # all are alike: the first is compiled, in ten seconds
                layer.compile(dynamic=True)

    def logits(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """Return the logits (prompts, choices) of what follows each prompt. Nothing waits for the GPU."""
        extremes = min(prompts), max(prompts)  # what the prefix shares with these two, it shares with all
        known = min(*(tokens.in_common(self.prefix, prompt) for prompt in extremes), min(map(len, prompts)) - 1)
        limit = NUMBERS[self.model.device.type] // self.model.config.hidden_size
        return torch.cat([self._batch(part, known) for part in batches([prompt[known:] for prompt in prompts], limit)])

    def _batch(self, rest: Sequence[list[int]], known: int) -> torch.Tensor:
        packed = pack(rest)
        prefix, lengths = np.arange(known), np.array([known + len(prompt) for prompt in rest])
        ends = [self._there(np.concatenate([[0], counts.cumsum()]).astype(np.int32)) for counts in (packed.sizes, lengths)]
        keys = self._there(np.concatenate([part for row in packed.seen for part in (prefix, row + len(self.prefix))]))
        layout = Layout(keys, *ends, (int(packed.sizes.max()), int(lengths.max())))
        config, usual = self.model.config, self.model.config._attn_implementation
        config._attn_implementation = ATTENTION
        try:
            places = {"input_ids": self._there(packed.ids)[None], "position_ids": self._there(packed.positions + known)[None]}
            hidden = self.model.model(**places, layout=layout, use_cache=False).last_hidden_state
        finally:
            config._attn_implementation = usual
        return self.model.lm_head(hidden[0, layout.queries_end[1:] - 1]).index_select(1, self.choices).float()

    def _there(self, values: np.ndarray) -> torch.Tensor:
        here = torch.from_numpy(values)
        return here.pin_memory().to(self.model.device, non_blocking=True) if self.model.device.type == "cuda" else here


def pack(rest: Sequence[list[int]]) -> Packed:
    """Pack prompts, none of them empty, from which the prefix has been cut; of each, at least the last token is computed."""
    ids, shared, sizes, seen = [], [], [], []
    before, places, at = [], np.arange(0), 0
    for prompt in rest:
        same = min(tokens.in_common(before, prompt), len(prompt) - 1)
        own = len(prompt) - same
        places = np.concatenate([places[:same], np.arange(at, at + own)])
        ids += prompt[same:]
        shared.append(same)
        sizes.append(own)
        seen.append(places)
        before, at = prompt, at + own
    counts = np.array(sizes)
    begins = counts.cumsum() - counts
    return Packed(np.array(ids), np.arange(at) + np.repeat(np.array(shared) - begins, counts), counts, seen)


def batches(prompts: Sequence[list[int]], limit: int) -> Iterator[Sequence[list[int]]]:
    """Yield the prompts in parts of at most `limit` tokens, or of one prompt."""
    begin, total = 0, 0
    for at, prompt in enumerate(prompts):
        if total + len(prompt) > limit and at > begin:
            yield prompts[begin:at]
            begin, total = at, 0
        total += len(prompt)
    yield prompts[begin:]


def _attention(module, query, key, value, attention_mask, scaling=None, layout: Layout | None = None, **_):
    """Attend from each row to the keys that it sees: `query` is (1, heads, tokens, width)."""
    query, *own = (states[0].transpose(0, 1) for states in (query, key, value))
    keys, values = (torch.cat(both)[layout.keys] for both in zip(module.crm_dedup_prefix, own, strict=True))
    grouped = query.shape[1] != keys.shape[1]
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        ends = layout.queries_end, layout.keys_end, *layout.longest
        return varlen_attn(query, keys, values, *ends, scale=scaling, window_size=(-1, 0), enable_gqa=grouped)[None], None
    return _row_by_row(query, keys, values, layout, scaling, grouped)[None], None


def _row_by_row(query, keys, values, layout: Layout, scaling: float | None, grouped: bool) -> torch.Tensor:
    """Return the same (tokens, heads, width) where there is no kernel for rows of any length."""
    ends, found = [layout.queries_end, layout.keys_end, layout.keys_end], []
    parts = (states.tensor_split(end[1:-1].long()) for states, end in zip((query, keys, values), ends, strict=True))
    for row in zip(*parts, strict=True):
        queries, own_keys, own_values = (states.transpose(0, 1)[None] for states in row)
        lengths = queries.shape[2], own_keys.shape[2]
        mask = torch.ones(lengths, dtype=torch.bool).tril(lengths[1] - lengths[0])
        seen = scaled_dot_product_attention(queries, own_keys, own_values, attn_mask=mask, scale=scaling, enable_gqa=grouped)
        found.append(seen[0].transpose(0, 1))
    return torch.cat(found)


AttentionInterface.register(ATTENTION, _attention)
