"""Score many prompts in one forward pass: packed without padding, and what prompts have in common computed once.

All prompts begin with the same rubric, and those of a match often with the same record. On a GPU, one kernel attends over rows of any length.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.library import custom_op
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache

ATTENTION = "crm_dedup_packed"
GPU_WORK = 2**36  # tokens of a batch times the square of the model's width: enough for a GPU, in 2 to 6 GB of its memory
AMPERE = (8, 0)  # the first GPUs that PyTorch has a kernel for
CPU_NUMBERS = 2**21  # tokens of a batch times the model's width: what suits the caches of a processor


class Layout(NamedTuple):
    """Which keys each row of a batch sees: places among those of the prefix, followed by those of the packed tokens."""

    keys: torch.Tensor  # (keys,), one row after the other
    queries_end: torch.Tensor  # (rows + 1,) where the queries of each row begin and end
    keys_end: torch.Tensor  # (rows + 1,) the same of its keys
    most_queries: int  # of a row
    most_keys: int


class Packed(NamedTuple):
    """Prompts without the prefix, each without what it has in common with the one before."""

    ids: np.ndarray  # (tokens,)
    positions: np.ndarray  # (tokens,) in their prompts
    sizes: np.ndarray  # (rows,) tokens of each row
    lengths: np.ndarray  # (rows,) tokens of each prompt
    seen: np.ndarray  # (lengths.sum(),) the places of all tokens of each prompt, one row after the other


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
        gpu, width = model.device.type == "cuda", model.config.hidden_size
        self.limit = max(GPU_WORK // width**2 if gpu else CPU_NUMBERS // width, 1)  # tokens of a batch
        kernel = gpu and torch.cuda.get_device_capability(model.device) >= AMPERE
        self.attend = _in_one_kernel if kernel else _row_by_row

    @functools.cached_property
    def compiled(self) -> Callable:
        """Compile the model, once, which pays where a kernel attends; return what attends in place of `attend`."""
        if self.attend is _row_by_row:
            return self.attend
        for layer in self.model.model.layers:  # all are alike: the first is compiled
            layer.compile(dynamic=True, options={"compile_threads": 1})  # no process of its own for each processor
        return _on_hopper if _has_hopper_kernel() else self.attend

    def logits(self, prompts: Sequence[Sequence[int]], many: bool = False) -> torch.Tensor:
        """Return the logits (prompts, choices) of what follows each prompt. Nothing waits for the GPU.

        `many` says that thousands of prompts follow, for which a GPU compiles the model first, in ten seconds.
        """
        most = min(len(self.prefix), min(map(len, prompts)) - 1)
        alike = np.all(np.stack([prompt[:most] for prompt in prompts]) == self.prefix[:most], axis=0)
        known = most if alike.all() else int(alike.argmin())
        rest, attend = [prompt[known:] for prompt in prompts], self.compiled if many else self.attend
        try:
            with torch.inference_mode(), torch.compiler.set_stance("default" if many else "force_eager"):
                return torch.cat([self._batch(part, known, attend) for part in batches(rest, self.limit)])
        except torch.OutOfMemoryError:
            if self.limit <= max(map(len, rest)):  # each prompt was a batch
                raise
        self.limit = min(self.limit, sum(map(len, rest))) // 2  # something else needs the memory
        return self.logits(prompts, many)

    def _batch(self, rest: Sequence[Sequence[int]], known: int, attend: Callable) -> torch.Tensor:
        packed = pack(rest)
        ends = [self._there(np.concatenate([[0], counts.cumsum()], dtype=np.int32)) for counts in (packed.sizes, packed.lengths + known)]
        keys = self._keys(ends[1], self._there(packed.seen), known)
        layout = Layout(keys, *ends, int(packed.sizes.max()), int(packed.lengths.max()) + known)
        config, usual = self.model.config, self.model.config._attn_implementation
        config._attn_implementation = ATTENTION
        try:
            places = {"input_ids": self._there(packed.ids)[None], "position_ids": self._there(packed.positions)[None] + known}
            hidden = self.model.model(**places, attend=attend, layout=layout, use_cache=False).last_hidden_state
        finally:
            config._attn_implementation = usual
        return self.model.lm_head(hidden[0, layout.queries_end[1:] - 1]).index_select(1, self.choices).float()

    def _keys(self, ends: torch.Tensor, seen: torch.Tensor, known: int) -> torch.Tensor:
        """Return `Layout.keys`: for each row the first `known` keys of the prefix, and those that it sees of the packed tokens."""
        rows, total = len(ends) - 1, len(seen) + known * (len(ends) - 1)
        at = torch.arange(total, device=ends.device)
        row = torch.arange(rows, device=ends.device).repeat_interleave(ends.diff(), output_size=total)
        place = at - ends[row]
        return torch.where(place < known, place, seen[(at - known * (row + 1)).clamp(min=0)] + len(self.prefix))

    def _there(self, values: np.ndarray) -> torch.Tensor:
        here = torch.from_numpy(values)
        return here.pin_memory().to(self.model.device, non_blocking=True) if self.model.device.type == "cuda" else here


def pack(rest: Sequence[Sequence[int]]) -> Packed:
    """Pack prompts, none of them empty, from which the prefix has been cut; of each, at least the last token is computed."""
    lengths = np.fromiter(map(len, rest), np.int32, len(rest))
    columns = np.arange(lengths.max(), dtype=np.int32)
    there = columns < lengths[:, None]  # (rows, longest)
    ids = np.full(there.shape, -1, np.int32)
    ids[there] = np.concatenate(rest)
    same = np.logical_and.accumulate(ids[1:] == ids[:-1], axis=1).sum(axis=1, dtype=np.int32)
    shared = np.minimum(np.concatenate([[0], same], dtype=np.int32), lengths - 1)
    own, sizes = there & (columns >= shared[:, None]), lengths - shared
    computed = np.maximum.accumulate(own * np.arange(len(rest), dtype=np.int32)[:, None], axis=0)  # the row that computes what a row sees
    places = (sizes.cumsum(dtype=np.int32) - sizes - shared)[computed] + columns
    return Packed(ids[own], np.broadcast_to(columns, own.shape)[own], sizes, lengths, places[there])


def batches(prompts: Sequence[Sequence[int]], limit: int) -> Iterator[Sequence[Sequence[int]]]:
    """Yield the prompts in parts of about the same size: at most `limit` tokens, or one prompt."""
    total, longest = sum(map(len, prompts)), max(map(len, prompts))
    room = min(limit, total / math.ceil(total / limit) + longest)
    begin, held = 0, 0
    for at, prompt in enumerate(prompts):
        if held + len(prompt) > room and at > begin:
            yield prompts[begin:at]
            begin, held = at, 0
        held += len(prompt)
    yield prompts[begin:]


def _attention(module, query, key, value, attention_mask, scaling=None, attend=None, layout: Layout | None = None, **_):
    """Attend from each row to the keys that it sees: `query` is (1, heads, tokens, width)."""
    query, *own = (states[0].transpose(0, 1) for states in (query, key, value))
    keys, values = (torch.cat(both)[layout.keys] for both in zip(module.crm_dedup_prefix, own, strict=True))
    return attend(query, keys, values, layout, scaling)[None], None


def _in_one_kernel(query, keys, values, layout: Layout, scaling: float | None) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends, grouped = (layout.queries_end, layout.keys_end, layout.most_queries, layout.most_keys), query.shape[1] != keys.shape[1]
    return varlen_attn(query, keys, values, *ends, scale=scaling, window_size=(-1, 0), enable_gqa=grouped)


def _on_hopper(query, keys, values, layout: Layout, scaling: float | None) -> torch.Tensor:
    return _hopper_kernel(query, keys, values, *layout[1:], scaling)


@custom_op("crm_dedup::attention", mutates_args=())
def _hopper_kernel(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    queries_end: torch.Tensor,
    keys_end: torch.Tensor,
    most_queries: int,
    most_keys: int,
    scaling: float | None,
) -> torch.Tensor:
    """FlashAttention 3, which PyTorch does not come with, but vLLM does."""
    from vllm.vllm_flash_attn.flash_attn_interface import flash_attn_varlen_func

    ends = most_queries, queries_end, most_keys, keys_end
    return flash_attn_varlen_func(query, keys, values, *ends, softmax_scale=scaling, causal=True, num_splits=1, fa_version=3)


@_hopper_kernel.register_fake
def _(query, *_):
    return torch.empty_like(query, memory_format=torch.contiguous_format)


def _has_hopper_kernel() -> bool:
    try:
        from vllm.vllm_flash_attn.flash_attn_interface import is_fa_version_supported
    except ImportError:
        return False
    return is_fa_version_supported(3)


def _row_by_row(query, keys, values, layout: Layout, scaling: float | None) -> torch.Tensor:
    """Return the same (tokens, heads, width) where there is no kernel for rows of any length."""
    ends, found = [layout.queries_end, layout.keys_end, layout.keys_end], []
    parts = (states.tensor_split(end[1:-1].long().cpu()) for states, end in zip((query, keys, values), ends, strict=True))
    for row in zip(*parts, strict=True):
        queries, own_keys, own_values = (states.transpose(0, 1)[None] for states in row)
        lengths = queries.shape[2], own_keys.shape[2]
        mask = torch.ones(lengths, dtype=torch.bool, device=query.device).tril(lengths[1] - lengths[0])
        grouped = queries.shape[1] != own_keys.shape[1]
        seen = scaled_dot_product_attention(queries, own_keys, own_values, attn_mask=mask, scale=scaling, enable_gqa=grouped)
        found.append(seen[0].transpose(0, 1))
    return torch.cat(found)


AttentionInterface.register(ATTENTION, _attention)
