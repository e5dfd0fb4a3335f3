"""A cheaper forward pass for pairs: no logits where there is no label, and the shared rubric computed once.

Nine tokens of ten belong to the prompt: the language-model head, a fifth of the work of a 135M model, is only
needed for the answers. And every prompt of a batch begins with the same rubric: causal attention lets all rows
share its keys and values. Both leave loss and gradients as they were (``tests/test_forward.py``).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from transformers import DynamicCache
from transformers.modeling_outputs import CausalLMOutputWithPast

MIN_SHARED_TOKENS = 32
ROWS_AT_ONCE = {"cpu": 4, "cuda": 128}  # few on a CPU, where padding costs; many on a GPU, where every launch of a kernel costs


class Emphasis(NamedTuple):
    """How many times another token's loss that of the decision counts: the token at `offset` from the start of an answer."""

    offset: int
    weight: float


def install(model: torch.nn.Module, shared_prefix: bool, emphasis: Emphasis | None = None) -> None:
    """Replace the forward of the causal language model inside `model` (plain or PEFT), in place.

    `shared_prefix` needs right padding, no packing and no gradient checkpointing.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    plain = causal.forward

    @functools.wraps(plain)
    def forward(input_ids=None, attention_mask=None, labels=None, num_items_in_batch=None, **kwargs):
        if labels is None or input_ids is None:
            return plain(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **kwargs)
        length = _shared_length(input_ids, labels) if shared_prefix else 0
        if length >= MIN_SHARED_TOKENS:
            parts = _after_prefix(causal.model, input_ids, attention_mask, labels, length)
        else:
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **kwargs, "use_cache": False}
            parts = [(causal.model(**inputs).last_hidden_state, labels)]
        # The mean over the whole optimiser step where the trainer gives its size, as Transformers' own loss does.
        count = (labels[:, 1:] != -100).sum() if num_items_in_batch is None else num_items_in_batch
        loss = sum(_answer_loss(causal.lm_head, hidden, targets, emphasis) for hidden, targets in parts) / count
        return CausalLMOutputWithPast(loss=loss)

    causal.forward = forward


def _shared_length(input_ids: torch.Tensor, labels: torch.Tensor) -> int:
    """Return how many first tokens all rows share, always short of the token that predicts the first label."""
    if len(input_ids) < 2:
        return 0
    same = (input_ids == input_ids[:1]).all(dim=0) & (labels == -100).all(dim=0)
    return max(int(same.long().cumprod(dim=0).sum()) - 1, 0)


def _after_prefix(decoder, input_ids, attention_mask, labels, length: int):
    """Yield the last hidden states (rows, tokens, width) after the shared prefix, with their labels.

    Rows of similar length go together, so that little is computed for padding.
    """
    prefix = decoder(input_ids=input_ids[:1, :length], use_cache=True).past_key_values
    lengths = attention_mask.sum(dim=1)
    for rows in lengths.argsort().split(ROWS_AT_ONCE.get(input_ids.device.type, 1)):
        cache, stop = DynamicCache(), int(lengths[rows].max())
        for index, layer in enumerate(prefix.layers):
            cache.update(*(states.expand(len(rows), -1, -1, -1) for states in (layer.keys, layer.values)), index)
        mask, part = attention_mask[rows, :stop], slice(length, stop)
        output = decoder(input_ids=input_ids[rows, part], attention_mask=mask, past_key_values=cache, use_cache=True)
        yield output.last_hidden_state, labels[rows, part]


def _answer_loss(head, hidden: torch.Tensor, labels: torch.Tensor, emphasis: Emphasis | None) -> torch.Tensor:
    """Return the summed cross entropy of the labelled tokens, each predicted from the position before it."""
    targets = labels[:, 1:]
    answers = targets != -100
    logits = head(hidden[:, :-1][answers]).float()
    if emphasis is None:
        return torch.nn.functional.cross_entropy(logits, targets[answers], reduction="sum")
    losses = torch.nn.functional.cross_entropy(logits, targets[answers], reduction="none")
    return losses @ _weights(answers, emphasis)[answers].to(losses)


def _weights(answers: torch.Tensor, emphasis: Emphasis) -> torch.Tensor:
    """Return the weight of every position (rows, tokens); a packed row holds several answers."""
    begins = answers.clone()
    begins[:, 1:] &= ~answers[:, :-1]
    decisions = torch.zeros_like(begins)
    decisions[:, emphasis.offset :] = begins[:, : begins.shape[1] - emphasis.offset]
    return 1.0 + (emphasis.weight - 1.0) * decisions
