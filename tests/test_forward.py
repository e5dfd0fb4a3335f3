"""The cheaper forward pass gives the loss and the gradients of the stock one."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from crm_dedup_plugin.training import flex_attention, shared_prefix
from crm_dedup_plugin.training.plugin import LocatingCollator

PREFIX = 40
KINDS = ("pieces", "kernel")


@pytest.fixture(scope="module")
def stock():
    torch.manual_seed(7)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=128, pad_token_id=0, **sizes)
    model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # zeros at first: nothing would reach lora_A
            torch.nn.init.normal_(weight, std=0.1)
    return model.train()


def make_batch(lengths, prefix=PREFIX, answer=6, seed=0):
    """Return a right-padded batch whose rows share `prefix` tokens and end in an answer of `answer` tokens."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, 128, (len(lengths), max(lengths)), generator=draw)
    rows[:, :prefix] = torch.arange(3, 3 + prefix)
    places = torch.arange(max(lengths))
    ends = torch.tensor(lengths)[:, None]
    mask = (places < ends).long()
    labels = torch.where((places >= ends - answer) & (places < ends), rows, -100)
    return {"input_ids": rows * mask, "attention_mask": mask, "labels": labels}


def outcome(model, batch, **extra):
    model.zero_grad()
    loss = model(**batch, **extra).loss
    loss.backward()
    return loss.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}


def assert_equal(stock, shared, batch, **extra):
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared)
    loss, gradients = outcome(stock, batch, **extra)
    our_loss, our_gradients = outcome(ours, batch, **extra)
    torch.testing.assert_close(our_loss, loss, rtol=1e-4, atol=1e-6)
    assert our_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-4, atol=1e-6)


def spy(monkeypatch):
    """Return a list that receives the length of every shared prefix that is used."""
    used = []
    original = shared_prefix.after_prefix

    def after_prefix(decoder, input_ids, labels, located):
        used.append(located["prefix"])
        return original(decoder, input_ids, labels, located)

    monkeypatch.setattr(shared_prefix, "after_prefix", after_prefix)
    return used


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("lengths", [[64, 51, 60, 47, 64, 58], [64, 64], [57, 64, 48]], ids=str)
def test_padded_rows_of_unequal_length(stock, shared, lengths, monkeypatch):
    used = spy(monkeypatch)
    assert_equal(stock, shared, make_batch(lengths))
    assert used == ([PREFIX - 1] if shared else [])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_bf16_on_a_processor_it_is_as_exact_as_the_stock_pass(stock, seed):
    batch = make_batch([64, 51, 60, 47], seed=seed)
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared_prefix=True)
    loss, exact = outcome(stock, batch)
    errors = {}
    for name, model in (("stock", stock), ("ours", ours)):
        with torch.autocast("cpu", torch.bfloat16):
            near, found = outcome(model, batch)
        assert abs(near - loss) < 0.01 * loss
        errors[name] = sum(float((found[key] - gradient).square().sum()) for key, gradient in exact.items()) ** 0.5
    assert 0 < errors["ours"] < 1.1 * errors["stock"]


@pytest.mark.parametrize("shared", [False, True])
def test_the_mean_over_the_whole_step_is_taken_where_the_trainer_gives_its_size(stock, shared):
    assert_equal(stock, shared, make_batch([64, 50]), num_items_in_batch=torch.tensor(37))


@pytest.mark.parametrize(("lengths", "prefix"), [([64], PREFIX), ([64, 50], 3), ([64, 50], shared_prefix.MIN_SHARED_TOKENS)])
def test_a_batch_with_too_little_to_share_takes_the_plain_path(stock, lengths, prefix, monkeypatch):
    used = spy(monkeypatch)
    assert_equal(stock, True, make_batch(lengths, prefix))
    assert not used


def test_rows_that_are_all_the_same_share_only_what_stands_before_the_answer(stock):
    batch = make_batch([64])
    assert_equal(stock, True, {name: value.repeat(3, 1) for name, value in batch.items()})


def test_no_token_of_an_answer_is_ever_part_of_the_prefix():
    batch = make_batch([64, 50])
    batch["labels"][1, 33] = 5
    assert shared_prefix._shared_length(batch["input_ids"], batch["labels"]) == 32


def test_packed_rows_do_not_see_each_other(stock):
    apart = [make_batch([length], prefix=1, seed=length) for length in (50, 30, 44)]
    packed = {name: torch.cat([part[name] for part in apart], dim=1) for name in ("input_ids", "labels")}
    packed["position_ids"] = torch.cat([torch.arange(part["input_ids"].shape[1]) for part in apart])[None]
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared_prefix=False)
    with torch.no_grad():
        mean = sum(ours(**part).loss for part in apart) / len(apart)
        torch.testing.assert_close(ours(**packed).loss, mean, rtol=1e-4, atol=1e-6)


def test_without_labels_the_model_answers_as_before(stock):
    ours = copy.deepcopy(stock).eval()
    shared_prefix.install(ours, shared_prefix=True)
    stock_eval = copy.deepcopy(stock).eval()
    question = make_batch([50, 50])["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(ours(input_ids=question).logits, stock_eval(input_ids=question).logits)
    arguments = {"input_ids": question, "attention_mask": torch.ones_like(question), "max_new_tokens": 5, "do_sample": False}
    assert torch.equal(ours.generate(**arguments), stock_eval.generate(**arguments))


def test_no_logits_are_kept_in_training(stock):
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared_prefix=True)
    assert ours(**make_batch([64, 50])).logits is None


class Questions(TorchDispatchMode):
    """Collects the operations whose outcome a processor must know: on a GPU, each waits until all work before it is done."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = getattr(operation, "overloadpacket", operation).__name__
        indices = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else ()
        by_mask = name.startswith("index") and any(isinstance(one, torch.Tensor) and one.dtype == torch.bool for one in indices)
        if by_mask or name in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "repeat_interleave"):
            self.asked.append(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("prefix", [PREFIX, 3], ids=["shared", "apart"])
def test_what_the_loader_finds_spares_the_forward_pass_its_questions(stock, tokenizer, prefix):
    batch = make_batch([64, 51, 58], prefix)
    features = [{name: values[row][batch["attention_mask"][row] == 1].tolist() for name, values in batch.items()} for row in range(3)]
    loaded = LocatingCollator(tokenizer, pad_to_multiple_of=64)(features)
    assert loaded["located"]["prefix"] == (PREFIX - 1 if prefix == PREFIX else 0)
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared_prefix=True, emphasis=shared_prefix.Emphasis(2, 5.0))
    loss, gradients = outcome(ours, batch)
    with Questions() as found:
        again, same = outcome(ours, loaded)
    assert found.asked == [] or prefix != PREFIX, "rows that share nothing are masked by Transformers, which asks"
    torch.testing.assert_close(again, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient)
    with Questions() as found:
        outcome(ours, batch)
    assert "nonzero" in found.asked


@pytest.mark.parametrize(("lengths", "pad"), [([64, 51, 58], 512), ([64] * 40, 2048), ([41, 64], 256)], ids=["3 rows", "40 rows", "2 rows"])
def test_one_kernel_attends_as_the_pieces_do(stock, tokenizer, lengths, pad, monkeypatch):
    from torch.nn import attention

    monkeypatch.setattr(flex_attention, "PAD", pad)  # uncompiled, every score is written out: few rows need not wait for thousands of tokens

    monkeypatch.setattr(attention.flex_attention, "_validate_device", lambda *_: None)  # uncompiled, the way back works on a processor too
    batch = make_batch(lengths, answer=1)
    features = [{name: values[row][batch["attention_mask"][row] == 1].tolist() for name, values in batch.items()} for row in range(len(lengths))]
    loaded = LocatingCollator(tokenizer, pad_to_multiple_of=64, flexible=True)(features)
    plan = loaded["located"]["plan"]
    mask = flex_attention.mask(PREFIX - 1, **plan)
    queries, keys = mask.seq_lengths
    dense = mask.mask_mod(0, 0, torch.arange(queries)[:, None], torch.arange(keys)[None])
    listed = torch.zeros(queries // flex_attention.BLOCK, keys // flex_attention.BLOCK, dtype=torch.bool)
    for query, count in enumerate(plan["counts"]):
        listed[query, plan["columns"][query, :count].long()] = True
    needed = dense.unflatten(0, (-1, flex_attention.BLOCK)).unflatten(2, (-1, flex_attention.BLOCK)).any(dim=1).any(dim=2)
    assert torch.equal(listed, needed), "every block in which something is seen, and no other"
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared_prefix=True, emphasis=shared_prefix.Emphasis(0, 5.0))
    loss, gradients = outcome(ours, batch)
    again, same = outcome(ours, loaded)
    torch.testing.assert_close(again, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_the_token_that_decides_can_count_more(stock, shared):
    batch, at, weight = make_batch([64, 51, 58]), 2, 5.0
    alone = {**batch, "labels": torch.full_like(batch["labels"], -100)}
    for row, length in enumerate((64, 51, 58)):
        place = length - 6 + at
        alone["labels"][row, place] = batch["labels"][row, place]
    count = torch.tensor(18)
    plain, plain_gradients = outcome(stock, batch, num_items_in_batch=count)
    more, more_gradients = outcome(stock, alone, num_items_in_batch=count)
    ours = copy.deepcopy(stock)
    shared_prefix.install(ours, shared, shared_prefix.Emphasis(at, weight))
    loss, gradients = outcome(ours, batch, num_items_in_batch=count)
    torch.testing.assert_close(loss, plain + (weight - 1) * more, rtol=1e-4, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, plain_gradients[name] + (weight - 1) * more_gradients[name], rtol=1e-4, atol=1e-5)


def test_every_packed_answer_has_its_decision():
    answers = torch.tensor([[0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1]]).bool()
    weights = shared_prefix._weights(answers, shared_prefix.Emphasis(1, 3.0))
    assert weights.tolist() == [[1, 1, 1, 3, 1, 1, 1, 1, 3, 1, 1, 3]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("seed", [0, 1])
def test_the_compiled_kernel_is_as_exact_as_the_pieces(seed):
    """Both in bf16, against the pieces in fp32."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 9, "num_key_value_heads": 3}
    exact = LlamaForCausalLM(LlamaConfig(vocab_size=512, pad_token_id=0, **sizes)).cuda().train()
    rough = copy.deepcopy(exact).to(torch.bfloat16)
    for model in (exact, rough):
        shared_prefix.install(model, shared_prefix=True)
    batch = make_batch(torch.randint(360, 520, (96,)).tolist(), prefix=300, answer=24, seed=seed)
    located = {
        kind: shared_prefix.locate(*(batch[name] for name in ("input_ids", "attention_mask", "labels")), True, kind == "kernel") for kind in KINDS
    }

    def gradients(model, kind):
        on_gpu = {name: value.cuda() if torch.is_tensor(value) else value for name, value in located[kind].items()}
        on_gpu |= {"plan": {name: value.cuda() for name, value in on_gpu["plan"].items()}} if "plan" in on_gpu else {}
        loss, found = outcome(model, {name: value.cuda() for name, value in batch.items()}, located=on_gpu)
        return loss.double(), torch.cat([one.flatten().double() for one in found.values()])

    loss, expected = gradients(exact, "pieces")
    errors = {}
    for kind in KINDS:
        near, found = gradients(rough, kind)
        errors[kind] = float((found - expected).norm() / expected.norm()), float((near - loss).abs() / loss)
    print(errors)
    assert errors["kernel"][0] < 1.2 * errors["pieces"][0] + 1e-3 and errors["kernel"][1] < 1e-2
