"""The tokens of a prompt and of its answer, the same in training, evaluation and serving.

A tokenizer is passed in; nothing here loads one: ``prompt_ids(AutoTokenizer.from_pretrained(MODEL), {...}, {...})``.
"""

import functools
import itertools
from array import array
from collections.abc import Sequence

from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import LABELS, dump

KEPT = 2**26  # characters of text whose tokens are kept
_PLACEHOLDER = "PROMPT"


def prompt_ids(tokenizer, record_a: dict, record_b: dict) -> list[int]:
    """Return the tokens of the prompt after the model's chat template, as an inference engine makes them."""
    turn = prompt.messages(record_a, record_b)
    return tokenizer(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True), add_special_tokens=False)["input_ids"]


def batch_prompt_ids(tokenizer, pairs: Sequence[tuple[dict, dict]]) -> list[list[int]]:
    """Return `prompt_ids` of each pair, faster; raises ValueError if the chat template changes the prompt."""
    return [ids.tolist() for ids in PromptTokens(tokenizer)(pairs)]


class PromptTokens:
    """Makes the tokens of prompts, and what follows them in `end`; a piece of text that many prompts share is tokenised once.

    In a match, records are such pieces, if the tokenizer cuts its text where they begin and end.
    """

    def __init__(self, tokenizer, end: Sequence[int] = ()):
        turn = [{"role": "user", "content": _PLACEHOLDER}]
        self.head, _, self.tail = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True).partition(_PLACEHOLDER)
        self.tokenizer, self.end = tokenizer, array("i", end)
        self.known: dict[str, array] = {}  # pieces of text and their tokens
        self.held = 0  # characters in them

    def __call__(self, pairs: Sequence[tuple[dict, dict]]) -> list[array]:
        """Return the tokens of each pair's prompt; raises ValueError if the chat template changes the prompt."""
        if not pairs:
            return []
        expected = [*prompt_ids(self.tokenizer, *pairs[0]), *self.end]
        asked = (prompt.ask(*pair).pieces for pair in pairs)
        turns = [(self.head + prefix, first, between, second + self.tail) for prefix, first, between, second in asked]
        for count in (*([len(turns[0])] if self.cuts else []), 2, 1):
            cut = [turn[: count - 1] + ("".join(turn[count - 1 :]),) for turn in turns]
            if self._tokens(cut[:1])[0].tolist() == expected:
                return self._tokens(cut)
        raise ValueError(f"the chat template of {self.tokenizer.name_or_path!r} changes the prompt: use one that repeats it word for word")

    @functools.cached_property
    def cuts(self) -> bool:
        """Tell whether the tokenizer cuts its text where records begin and end, and looks for no token across."""
        splitter = getattr(getattr(self.tokenizer, "backend_tokenizer", None), "pre_tokenizer", None)
        pieces = prompt.ask({"a": "b"}, {"c": "d"}).pieces
        return bool(splitter) and {*itertools.accumulate(map(len, pieces))} <= {end for _, (_, end) in splitter.pre_tokenize_str("".join(pieces))}

    def _tokens(self, prompts: Sequence[tuple[str, ...]]) -> list[array]:
        if self.held > KEPT:
            self.known, self.held = {}, 0
        new = [text for text in dict.fromkeys(itertools.chain.from_iterable(prompts)) if text not in self.known]
        self.known |= zip(new, _encoded(self.tokenizer, new), strict=True) if new else {}
        self.held += sum(map(len, new))
        return [sum(map(self.known.__getitem__, pieces), self.end[:0]) + self.end for pieces in prompts]


def _encoded(tokenizer, texts: list[str]) -> list[array]:
    """Return the tokens of each text, in half of the time where the tokenizer is one of the library `tokenizers`: no offsets, no masks."""
    if hasattr(tokenizer, "backend_tokenizer"):
        found = [one.ids for one in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    else:
        found = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [array("i", ids) for ids in found]


def in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many first tokens two prompts share."""
    for at, (this, that) in enumerate(zip(one, other, strict=False)):
        if this != that:
            return at
    return min(len(one), len(other))


def answer_ids(tokenizer, answer: str) -> list[int]:
    """Return the tokens of one answer, as `batch_answer_ids` does."""
    return batch_answer_ids(tokenizer, [answer])[0]


def batch_answer_ids(tokenizer, answers: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each answer, as constrained decoding emits them, and the token that ends the turn.

    Raises ValueError where the tokenizer cannot spell an answer without a leading space.
    """
    # A SentencePiece tokenizer puts a space before text that stands alone; after a line break it does not.
    lead, *spelled = (ids.tolist() for ids in _encoded(tokenizer, ["\n", *(f"\n{answer}" for answer in answers)]))
    found = [ids[len(lead) :] for ids in spelled]
    for ids, rest, answer in zip(spelled, found, answers, strict=True):
        if ids[: len(lead)] != lead or tokenizer.decode(rest, clean_up_tokenization_spaces=False) != answer:
            raise ValueError(f"the tokenizer {tokenizer.name_or_path!r} does not spell the answer {answer!r} byte for byte")
    end = end_of_turn_id(tokenizer)
    return [[*rest, end] for rest in found]


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
