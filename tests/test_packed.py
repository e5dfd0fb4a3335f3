"""One forward pass over many prompts says what each prompt alone would have said."""

import itertools
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Phi3Config, Qwen3Config

from crm_dedup_plugin.inference import packed

CHOICES = (3, 5, 8)
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
RUBRIC = [7, 11, 13, 17, 19]
prompts = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=8)


@pytest.fixture(scope="module", params=[LlamaConfig, MistralConfig, Phi3Config, Qwen3Config], ids=lambda kind: kind.model_type)
def model(request):
    """On a GPU in bfloat16, which the kernel needs."""
    torch.manual_seed(7)
    made = AutoModelForCausalLM.from_config(request.param(**SHAPE)).eval()
    return made.to("cuda", torch.bfloat16) if torch.cuda.is_available() else made.float()


@pytest.fixture
def scorer(model):
    with torch.inference_mode():
        yield packed.Scorer(model, CHOICES, [*RUBRIC, 1, 2])


@pytest.fixture(params=["usual", "row by row", "hopper"])
def kernel(request, scorer, monkeypatch):
    """Every way to attend that this machine has."""
    if request.param == "row by row":
        monkeypatch.setattr(scorer, "attend", packed._row_by_row)
    if request.param == "hopper":
        if not torch.cuda.is_available() or not packed._has_hopper_kernel():
            pytest.skip("needs a Hopper GPU and vLLM for it")
        monkeypatch.setattr(scorer, "attend", packed._on_hopper)


def as_alone(model, scorer, asked: list[list[int]]) -> bool:
    """Tell whether the scorer says of all prompts together what the model says of each alone."""
    alone = torch.stack([model(torch.tensor([prompt], device=model.device)).logits[0, -1, list(CHOICES)] for prompt in asked])
    return torch.allclose(scorer.logits(asked), alone.float(), atol=1e-5 if model.dtype == torch.float32 else 0.02)


@given(prompts)
def test_each_row_sees_its_own_prompt_and_nothing_is_computed_twice_in_a_row(rest):
    found = packed.pack(rest)
    seen = np.split(found.seen, found.lengths.cumsum()[:-1])
    assert [found.ids[row].tolist() for row in seen] == rest
    assert [found.positions[row].tolist() for row in seen] == [list(range(len(prompt))) for prompt in rest]
    assert found.sizes.sum() == len(found.ids) and found.sizes.min() >= 1
    assert found.sizes.tolist()[1:] == [
        max(len(prompt) - next((at for at, pair in enumerate(zip(prompt, before, strict=False)) if pair[0] != pair[1]), len(before)), 1)
        for before, prompt in itertools.pairwise(rest)
    ]


@given(rest=prompts, tokens=st.integers(1, 20))
def test_parts_hold_all_prompts_in_order_and_no_more_tokens_than_they_may(rest, tokens):
    parts = list(packed.batches(rest, tokens))
    assert [prompt for part in parts for prompt in part] == rest
    assert all(len(part) == 1 or sum(map(len, part)) <= tokens for part in parts)


@pytest.mark.parametrize(
    "rest",
    [[[1, 2], [1, 2, 3], [4]], [[1, 2, 3], [1, 2, 3], [1, 2, 3]], [[1, 2, 3, 4], [1, 2]], [[9]]],
    ids=["what two have in common", "the same prompt again", "one that another begins with", "one alone"],
)
def test_many_prompts_at_once_are_as_exact_as_one(model, scorer, kernel, rest):
    asked = [RUBRIC + prompt for prompt in rest]
    assert as_alone(model, scorer, asked)
    scorer.limit = 3
    assert as_alone(model, scorer, asked), "in several batches"


def test_where_memory_runs_out_batches_get_smaller(model, scorer, monkeypatch):
    tried, batch = [], scorer._batch

    def small(rest, *others):
        tried.append(sum(map(len, rest)))
        if tried[-1] > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch(rest, *others)

    monkeypatch.setattr(scorer, "_batch", small)
    assert as_alone(model, scorer, [RUBRIC + [at, 9, 9] for at in range(8)])
    assert tried == [24, 12, 6, 6, 6, 6] and scorer.limit == 6

    monkeypatch.setattr(scorer, "_batch", mock.Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        scorer.logits([[*RUBRIC, 1]] * 3)


def test_prompts_need_not_begin_like_the_prefix(model, scorer):
    for asked in ([[*RUBRIC, 1, 2, 3], [*RUBRIC, 1, 2, 4]], [[*RUBRIC[:2], 3], [*RUBRIC, 4]], [[1, 2, 9], [2]], [RUBRIC, RUBRIC[:1]]):
        assert as_alone(model, scorer, asked)
