"""The tokens of a prompt and of its answer, the same in training, evaluation and serving.

A tokenizer is passed in; nothing here loads one: ``prompt_ids(AutoTokenizer.from_pretrained(MODEL), {...}, {...})``.
"""

from collections.abc import Sequence

from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import LABELS, dump

_PLACEHOLDER = "PROMPT"


def prompt_ids(tokenizer, record_a: dict, record_b: dict) -> list[int]:
    """Return the tokens of the prompt after the model's chat template, as an inference engine makes them."""
    return text_ids(tokenizer, prompt.build(record_a, record_b))


def text_ids(tokenizer, text: str) -> list[int]:
    """Return the tokens of a prompt, given as text, after the model's chat template."""
    turn = [{"role": "user", "content": text}]
    return tokenizer(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True), add_special_tokens=False)["input_ids"]


def batch_prompt_ids(tokenizer, pairs: Sequence[tuple[dict, dict]]) -> list[list[int]]:
    """Return `prompt_ids` of each pair, faster: the chat template is rendered once, and the prompt is put into it.

    What all prompts begin with is tokenised once too, if the tokenizer cuts before the space that follows it.
    Raises ValueError if the template changes the prompt.
    """
    if not pairs:
        return []
    turn = [{"role": "user", "content": _PLACEHOLDER}]
    head, found, tail = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True).partition(_PLACEHOLDER)
    prompts = [prompt.build(*pair) for pair in pairs]
    texts, expected = [head + text + tail for text in prompts], text_ids(tokenizer, prompts[0])
    for prefix in (head + prompt.SHARED_PREFIX, ""):
        known = tokenizer(prefix, add_special_tokens=False)["input_ids"]
        if found and known + tokenizer(texts[0][len(prefix) :], add_special_tokens=False)["input_ids"] == expected:
            return [known + rest for rest in _encoded(tokenizer, [text[len(prefix) :] for text in texts])]
    raise ValueError(f"the chat template of {tokenizer.name_or_path!r} changes the prompt: use one that repeats it word for word")


def _encoded(tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the tokens of each text, in half of the time where the tokenizer is one of the library `tokenizers`: no offsets, no masks."""
    if hasattr(tokenizer, "backend_tokenizer"):
        return [one.ids for one in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many first tokens two prompts share."""
    for at, (this, that) in enumerate(zip(one, other, strict=False)):
        if this != that:
            return at
    return min(len(one), len(other))


def answer_ids(tokenizer, answer: str) -> list[int]:
    """Return the tokens of the answer, as constrained decoding emits them, and the token that ends the turn.

    Raises ValueError where the tokenizer cannot spell the answer without a leading space.
    """
    # A SentencePiece tokenizer puts a space before text that stands alone; after a line break it does not.
    lead = tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids = tokenizer("\n" + answer, add_special_tokens=False)["input_ids"]
    if ids[: len(lead)] != lead or tokenizer.decode(ids[len(lead) :], clean_up_tokenization_spaces=False) != answer:
        raise ValueError(f"the tokenizer {tokenizer.name_or_path!r} does not spell the answer {answer!r} byte for byte")
    return ids[len(lead) :] + [end_of_turn_id(tokenizer)]


def decision_ids(tokenizer) -> tuple[list[int], list[int]]:
    """Return the tokens that every answer begins with, and the next one for each of `LABELS`.

    Raises ValueError where one token does not tell the three decisions apart.
    """
    answers = [answer_ids(tokenizer, dump(label, "")) for label in LABELS]
    start = next(at for at, ids in enumerate(zip(*answers, strict=False)) if len(set(ids)) > 1)
    firsts = [answer[start] for answer in answers]
    if len(set(firsts)) < len(firsts):
        raise ValueError(f"the tokenizer {tokenizer.name_or_path!r} does not tell the decisions apart by one token: {firsts}")
    return answers[0][:start], firsts


def end_of_turn_id(tokenizer) -> int:
    """Return the first token that the chat template writes after an assistant's answer."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "{}"}]
    after = tokenizer.apply_chat_template(turns, tokenize=False).rpartition("{}")[2].lstrip()
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    return ids[0] if ids else tokenizer.eos_token_id
