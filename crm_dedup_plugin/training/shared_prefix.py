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
    rows: int
    longest: int  # tokens of a padded row
    real: torch.Tensor  # (packed tokens after the prefix,): its place in the padded rows, all of them one after the other
    mask: torch.Tensor  # (longest, prefix + longest): what a token sees; rows are padded at their ends, where no real token looks


class Emphasis(NamedTuple):
    """The weight of the loss of the decision, relative to other tokens; it is the token at `offset` from the start of an answer."""

    offset: int
    weight: float


def locate(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, share: bool, flexible: bool = False) -> dict:
    """Return what the forward pass needs to know about a batch (rows, tokens): how to pack it, and where its answers are.

    ``prefix`` is the number of tokens that are computed once, 0 where there are too few or `share` is off; ``real`` the places of the
    tokens after it in the rows, one row after the other, without padding; ``before`` the places of the tokens, of the packed batch if
    it is packed, after which a token with a label comes; ``plan``, where it is to be `flexible`, that of the attention.
    """
    prefix = _shared_length(input_ids, labels) if share else 0
    if prefix < MIN_SHARED_TOKENS:
        labelled = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
        return {"prefix": 0, "real": None, "before": _places(labelled != IGNORE)}
    real = _places(attention_mask[:, prefix:] != 0)
    found = {"prefix": prefix, "real": real, "before": _places(_packed(labels, prefix, real)[:, 1:] != IGNORE)}
    return found | {"plan": flex_attention.plan(prefix, attention_mask[:, prefix:].sum(dim=1))} if flexible else found


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
            hidden, targets = after_prefix(causal.model, input_ids, labels, located["prefix"], located["real"], located.get("plan"))
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


def after_prefix(decoder, input_ids, labels, prefix: int, real: torch.Tensor, plan: dict | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the last hidden states (1, tokens, width) of the packed batch, and the labels of its tokens.

    The first token after the prefix has no label in any row, so none is predicted across the seam of two rows.
    """
    size = len(plan["row"]) if plan else 0
    positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    inputs = {"input_ids": _packed(input_ids, prefix, real, size), "position_ids": _packed(positions, prefix, real, size), "use_cache": False}
    if plan:
        how, inputs["blocks"] = flex_attention.ATTENTION, flex_attention.mask(prefix, **plan)
    else:
        rows, longest = len(input_ids), input_ids.shape[1] - prefix
        mask = torch.ones(longest, input_ids.shape[1], dtype=torch.bool, device=input_ids.device).tril(prefix)
        how, inputs["layout"] = ATTENTION, Layout(prefix, rows, longest, real, mask)
    config, usual = decoder.config, decoder.config._attn_implementation
    config._attn_implementation = how
    try:
        hidden = decoder(**inputs).last_hidden_state
    finally:
        config._attn_implementation = usual
    return hidden, _packed(labels, prefix, real, size, IGNORE)


def _shared_attention(module, query, key, value, attention_mask, scaling=None, layout: Layout | None = None, **_):
    """Attend within the prefix, and from each row to the prefix and to itself: `query` is (1, heads, tokens, width)."""
    prefix, rows, longest, real, mask = layout
    groups, heads = query.shape[1] // key.shape[1], [states.shape[1] for states in (query, key, value)]
    shared = [states[:, :, :prefix] for states in (query, key, value)]
    first = scaled_dot_product_attention(shared[0], *(repeat_kv(states, groups) for states in shared[1:]), is_causal=True, scale=scaling)

    own = torch.cat([states[0, :, prefix:] for states in (query, key, value)]).transpose(0, 1)
    padded = (
        own.new_zeros(rows * longest, *own.shape[1:]).index_copy(0, real, own).view(rows, longest, *own.shape[1:]).transpose(1, 2).split(heads, dim=1)
    )
    both = (torch.cat([states.expand(rows, -1, -1, -1), mine], dim=2) for states, mine in zip(shared[1:], padded[1:], strict=True))
    rest = scaled_dot_product_attention(padded[0], *(repeat_kv(states, groups) for states in both), attn_mask=mask, scale=scaling)
    rest = _Gather.apply(rest.transpose(1, 2).flatten(0, 1), real)
    return torch.cat([first[0].transpose(0, 1), rest])[None], None


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
