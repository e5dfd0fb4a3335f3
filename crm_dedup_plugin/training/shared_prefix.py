"""A cheaper forward pass for pairs: logits only where there is a label, and the shared rubric computed once.

Nine tokens of ten belong to the prompt, so the language-model head, a fifth of the work of a 135M model, is only needed for the answers.
And every prompt of a batch begins with the same rubric, so causal attention lets all rows share its keys and values. Neither changes
loss or gradients (``tests/test_forward.py``).

`locate` finds the end of the rubric and the answers before the batch goes to the GPU: reading them back from the GPU would stall it.
"""

import functools
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.modeling_outputs import CausalLMOutputWithPast

from crm_dedup_plugin.training import flex_attention
from crm_dedup_plugin.training.formatter import IGNORE

MIN_SHARED_TOKENS = 32
ATTENTION = "crm_dedup_shared_prefix"


class Layout(NamedTuple):
    """The layout of a packed batch: the prefix, then what follows it in each row, without padding."""

    prefix: int  # tokens
    lengths: list[int]  # tokens after the prefix, of each row
    mask: torch.Tensor  # (longest, prefix + longest): what a token of the longest row sees; shorter rows take its first lines and columns


class Emphasis(NamedTuple):
    """The weight of the loss of the decision, relative to other tokens; it is the token at `offset` from the start of an answer."""

    offset: int
    weight: float


def locate(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, share: bool, flexible: bool = False) -> dict:
    """Return what the forward pass needs to know about a batch (rows, tokens): how to pack it, and where its answers are.

    ``prefix`` is the number of tokens that are computed once, 0 where there are too few or `share` is off; ``real`` the places of the
    tokens after it in the rows, one row after the other, without padding; ``before`` the places of the tokens, of the packed batch if
    it is packed, after which a token with a label comes; ``lengths`` how many tokens each row has after the prefix, or, where it is to be
    `flexible`, ``plan``, that of the attention.
    """
    prefix = _shared_length(input_ids, labels) if share else 0
    if prefix < MIN_SHARED_TOKENS:
        labelled = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
        return {"prefix": 0, "real": None, "before": _places(labelled != IGNORE)}
    real = _places(attention_mask[:, prefix:] != 0)
    found = {"prefix": prefix, "real": real, "before": _places(_packed(labels, prefix, real)[:, 1:] != IGNORE)}
    lengths = attention_mask[:, prefix:].sum(dim=1)
    return found | ({"plan": flex_attention.plan(prefix, lengths)} if flexible else {"lengths": lengths.tolist()})


def install(model: torch.nn.Module, shared_prefix: bool, emphasis: Emphasis | None = None) -> None:
    """Replace the forward of the causal language model inside `model` (plain or PEFT), in place.

    It takes the result of `locate` as `located`, or computes it. `shared_prefix` needs right padding, no packing and no gradient
    checkpointing.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    plain = causal.forward

    @functools.wraps(plain)
    def forward(input_ids=None, attention_mask=None, labels=None, num_items_in_batch=None, located=None, **kwargs):
        if labels is None or input_ids is None:
            return plain(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **kwargs)
        located = located or locate(input_ids, attention_mask, labels, shared_prefix)
        if located["prefix"]:
            hidden, targets = after_prefix(causal.model, input_ids, labels, located)
        else:
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **kwargs, "use_cache": False}
            hidden, targets = causal.model(**inputs).last_hidden_state, labels
        # The mean over the whole optimiser step where the trainer gives its size, as Transformers' own loss does.
        count = len(located["before"]) if num_items_in_batch is None else num_items_in_batch
        return CausalLMOutputWithPast(loss=_answer_loss(causal.lm_head, hidden, targets, located["before"], emphasis) / count)

    causal.forward = forward


def _places(chosen: torch.Tensor) -> torch.Tensor:
    """Return where a table is true, counted through its rows."""
    return chosen.flatten().nonzero()[:, 0]


def _shared_length(input_ids: torch.Tensor, labels: torch.Tensor) -> int:
    """Return how many first tokens all rows share, always short of the token that predicts the first label."""
    if len(input_ids) < 2:
        return 0
    same = (input_ids == input_ids[:1]).all(dim=0) & (labels == IGNORE).all(dim=0)
    return max(int(same.long().cumprod(dim=0).sum()) - 1, 0)


def _packed(values: torch.Tensor, prefix: int, real: torch.Tensor, size: int = 0, filler: int = 0) -> torch.Tensor:
    """Return (1, packed tokens) of (rows, tokens), filled up to `size` tokens."""
    packed = torch.cat([values[0, :prefix], values[:, prefix:].flatten()[real]])[None]
    return torch.nn.functional.pad(packed, (0, max(size - packed.shape[1], 0)), value=filler)


def after_prefix(decoder, input_ids, labels, located: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the last hidden states (1, tokens, width) of the packed batch, and the labels of its tokens; `located` comes from `locate`.

    The first token after the prefix has no label in any row, so none is predicted across the seam of two rows.
    """
    prefix, real, plan = located["prefix"], located["real"], located.get("plan")
    size = len(plan["row"]) if plan else 0
    positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    inputs = {"input_ids": _packed(input_ids, prefix, real, size), "position_ids": _packed(positions, prefix, real, size), "use_cache": False}
    if plan:
        how, inputs["blocks"] = flex_attention.ATTENTION, flex_attention.mask(prefix, **plan)
    else:
        longest = max(located["lengths"])
        mask = torch.ones(longest, prefix + longest, dtype=torch.bool, device=input_ids.device).tril(prefix)
        how, inputs["layout"] = ATTENTION, Layout(prefix, located["lengths"], mask)
    config, usual = decoder.config, decoder.config._attn_implementation
    config._attn_implementation = how
    try:
        hidden = decoder(**inputs).last_hidden_state
    finally:
        config._attn_implementation = usual
    return hidden, _packed(labels, prefix, real, size, IGNORE)


def _shared_attention(module, query, key, value, attention_mask, scaling=None, layout: Layout | None = None, **_):
    """Attend within the prefix, and from each row to the prefix and to itself: `query` is (1, heads, tokens, width).

    One row after the other, so that nothing is computed for padding.
    """
    prefix, lengths, mask = layout
    if query.is_cuda:  # where a kernel for a mask takes no groups of heads
        groups = query.shape[1] // key.shape[1]
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    else:  # the way back takes longer in bf16 than in fp32
        query, key, value = query.float(), key.float(), value.float()
    attend = functools.partial(scaled_dot_product_attention, scale=scaling, enable_gqa=not query.is_cuda)
    (queries, *rows), (keys, *own_keys), (values, *own_values) = (states.split([prefix, *lengths], dim=2) for states in (query, key, value))
    with torch.autocast("cpu", enabled=False):
        found = [attend(queries, keys, values, is_causal=True)]
        for row, *own in zip(rows, own_keys, own_values, strict=True):
            both = (torch.cat(parts, dim=2) for parts in zip((keys, values), own, strict=True))
            found.append(attend(row, *both, attn_mask=mask[: row.shape[2], : prefix + row.shape[2]]))
    return torch.cat(found, dim=2).transpose(1, 2), None


class _Gather(torch.autograd.Function):
    """Take rows of a tensor, none of them twice: on the way back nothing needs to be summed, as `index_select` would."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return (places, ...)."""
        ctx.save_for_backward(places)
        ctx.size = len(values)
        return values.index_select(0, places)

    @staticmethod
    def backward(ctx, gradient):
        """Return the gradient of the values."""
        return gradient.new_zeros(ctx.size, *gradient.shape[1:]).index_copy_(0, ctx.saved_tensors[0], gradient), None


AttentionInterface.register(ATTENTION, _shared_attention)


def _answer_loss(head, hidden: torch.Tensor, labels: torch.Tensor, before: torch.Tensor, emphasis: Emphasis | None) -> torch.Tensor:
    """Return the summed cross entropy of the labelled tokens, each predicted from the token before it."""
    logits = head(_Gather.apply(hidden.flatten(0, 1), before)).float()
    targets = labels.flatten()[before + 1]
    if emphasis is None:
        return cross_entropy(logits, targets, reduction="sum")
    losses = cross_entropy(logits, targets, reduction="none")
    return losses @ _weights(labels != IGNORE, emphasis).flatten()[before + 1].to(losses)


def _weights(answers: torch.Tensor, emphasis: Emphasis) -> torch.Tensor:
    """Return the weight of every position (rows, tokens); a packed row holds several answers."""
    begins = answers.clone()
    begins[:, 1:] &= ~answers[:, :-1]
    decisions = torch.zeros_like(begins)
    decisions[:, emphasis.offset :] = begins[:, : begins.shape[1] - emphasis.offset]
    return 1.0 + (emphasis.weight - 1.0) * decisions
