"""A model in this process, through Transformers: ready in seconds where vLLM takes half a minute.

It answers as `engine.Engine` does, under the same schema: ``TransformersEngine(MODEL).ask(FULL, pairs).answers``. For one token a pair it is
the faster one, on a GPU several times as fast. Whole answers are written in batches on a GPU, else one after the other.
"""

import copy
import functools
import itertools
import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor

from crm_dedup_plugin.inference import devices
from crm_dedup_plugin.inference.batch import Batch, Reply
from crm_dedup_plugin.inference.engine import DECISION, FREE_TOKENS, FULL, SEED, Pair, softmax
from crm_dedup_plugin.pair import answer, tokens

SLICES = (256, 2048)  # pairs whose prompts are made while a GPU works on those before: at first few, so that it starts soon
ROWS = 64  # whole answers that a GPU writes together: few enough that they fit beside a model of four billion weights
COMPILED = 8_192  # pairs asked about at once from which it pays to compile the model for a GPU, which takes ten seconds


def load(model: str, random_weights: bool = False):
    """Return the model, on the GPU if there is one, and its tokenizer; `random_weights` needs no more than a configuration."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    gpu = torch.cuda.is_available()
    settings = {"dtype": getattr(torch, devices.precision())}
    torch.manual_seed(SEED)
    with torch.device("cuda" if gpu else "cpu"):
        if random_weights:
            loaded = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model), **settings)
        else:
            loaded = AutoModelForCausalLM.from_pretrained(model, **settings)
    tokenizer = AutoTokenizer.from_pretrained(model)
    end = tokens.end_of_turn_id(tokenizer)
    loaded.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
    return loaded.eval(), tokenizer


def generate(model, prompts: Sequence[Sequence[int]], limit: int, processors: Sequence = ()) -> list[list[int]]:
    """Return what follows each prompt, written together by ``model.generate``: at most `limit` tokens, up to the one that ends the turn."""
    import torch

    end, pad, width = model.generation_config.eos_token_id, model.generation_config.pad_token_id, max(map(len, prompts))
    padded = torch.tensor([[pad] * (width - len(prompt)) + [*prompt] for prompt in prompts], device=model.device)
    there = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):  # what the scorer has compiled is for many prompts
        out = model.generate(input_ids=padded, attention_mask=there, max_new_tokens=limit, do_sample=False, logits_processor=[*processors])
    made = out[:, width:].tolist()
    return [ids[: ids.index(end) + 1] if end in ids else ids for ids in made]


def _slices(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    size, most = SLICES
    while part := list(itertools.islice(pairs, size)):
        yield part
        size = min(2 * size, most)


class TransformersEngine:
    """One model in this process, asked about many pairs at a time; without a GPU it writes whole answers one after the other."""

    def __init__(self, model: str):
        from crm_dedup_plugin.inference import grammar

        self.name, (self.model, self.tokenizer) = model, load(model)
        # Takes a second, in which the first prompt is read.
        self.grammar = ThreadPoolExecutor(1).submit(grammar.known_tokens, self.tokenizer, self.model.config.get_text_config().vocab_size)
        self.start, self.firsts = tokens.decision_ids(self.tokenizer)
        self.prompts = tokens.PromptTokens(self.tokenizer, self.start)
        self.known: tuple[list[int], object] = ([], None)  # the tokens of the last prompt, and its keys and values
        self.rubric = self.known
        self.scorer = None

    def ask(self, kind: str, pairs: Iterable[Pair], limits: int = answer.MAX_ANSWER_TOKENS) -> Batch:
        """Return what `engine.Engine.ask` returns for DECISION, or for FULL with answers of at most `limits` tokens."""
        import torch

        pairs, began = pairs if isinstance(pairs, Sized) else list(pairs), time.perf_counter()
        if kind == DECISION and len(pairs) > 1:
            return self._decided(pairs, began)
        prompts = tokens.batch_prompt_ids(self.tokenizer, list(pairs))
        if kind == FULL and len(pairs) > 1 and self.model.device.type == "cuda":
            made, again = self.write(prompts, limits)
        else:
            with torch.inference_mode():
                made, again = [self._probabilities(ids) if kind == DECISION else self._reply(ids, limits) for ids in prompts], 0
        seconds = time.perf_counter() - began
        return Batch([one for one, _ in made], [count for _, count in made], sum(map(len, prompts)), 0, seconds, seconds, again)

    def write(self, prompts: Sequence[list[int]], limit: int) -> tuple[list[tuple[Reply, int]], int]:
        """Return the whole answer to each prompt and its tokens, and how many had to be asked again.

        Answers are written in batches without the grammar, as in `engine.Engine`; those that it does not accept are asked again under it.
        """
        made = self._together(prompts, min(limit, FREE_TOKENS))
        failed = [at for at, ids in enumerate(made) if not (self._ended(ids) and self._checker.accepts(ids))]
        for at, ids in zip(failed, self._together([prompts[at] for at in failed], limit, strict=True), strict=True):
            made[at] = ids
        return list(map(self._told, made)), len(failed)

    def _together(self, prompts: Sequence[list[int]], limit: int, strict: bool = False) -> list[list[int]]:
        """Return what `generate` does, under the grammar if `strict`, in batches of prompts of about the same length."""
        from crm_dedup_plugin.inference import grammar

        made, order = [[]] * len(prompts), sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        for begin in range(0, len(order), ROWS):
            part = order[begin : begin + ROWS]
            processors = [grammar.SchemaProcessor(self.grammar.result)] if strict else []
            for at, ids in zip(part, generate(self.model, [prompts[at] for at in part], limit, processors), strict=True):
                made[at] = ids
        return made

    @functools.cached_property
    def _checker(self):
        from crm_dedup_plugin.inference.grammar import Checker

        return Checker(self.grammar.result())

    def _ended(self, ids: Sequence[int]) -> bool:
        return self.model.generation_config.eos_token_id in ids[-1:]

    def _told(self, ids: Sequence[int]) -> tuple[Reply, int]:
        ended = self._ended(ids)
        return Reply(answer.parse(self.tokenizer.decode(ids[: len(ids) - ended], clean_up_tokenization_spaces=False)), not ended), len(ids)

    def reset_cache(self) -> None:
        """Forget all prompts, but what they all begin with."""
        import torch

        if not self.rubric[0]:
            with torch.inference_mode():
                self._probabilities(tokens.prompt_ids(self.tokenizer, {}, {}))
            self.rubric = self.known
        self.known = copy.deepcopy(self.rubric)

    def _decided(self, pairs: Collection[Pair], began: float) -> Batch:
        """Return what `ask` does for DECISION: about many pairs at once, whose prompts are made while a GPU works on those before."""
        import torch

        from crm_dedup_plugin.inference.packed import Scorer

        found, lengths = [], []
        self.scorer = self.scorer or Scorer(self.model, self.firsts, tokens.prompt_ids(self.tokenizer, {}, {}))
        for part in _slices(iter(pairs)):
            prompts = self.prompts(part)
            lengths += map(len, prompts)
            found.append(self.scorer.logits(prompts, many=len(pairs) >= COMPILED))
        rows = torch.cat(found).softmax(dim=1).tolist()
        seconds = time.perf_counter() - began
        return Batch(rows, [1] * len(rows), sum(lengths), 0, seconds, seconds)

    def _probabilities(self, prompt: list[int]) -> tuple[list[float], int]:
        ids, cache = prompt + self.start, self._cache(prompt)
        logits = self._logits(ids[cache.get_seq_length() :], cache)
        self.known = ids, cache
        return softmax(logits[self.firsts].tolist()), 1

    def _reply(self, prompt: list[int], limit: int) -> tuple[Reply, int]:
        from crm_dedup_plugin.inference import grammar

        cache, at, made = self._cache(prompt), grammar.matcher(self.grammar.result()), []
        end, new = self.model.generation_config.eos_token_id, prompt[cache.get_seq_length() :]
        while len(made) < limit and end not in made[-1:]:
            logits = self._logits(new, cache)
            made.append(int(logits.masked_fill(~grammar.allowed(at, len(logits)).to(logits.device), -math.inf).argmax()))
            at.consume_token(made[-1])
            new = made[-1:]
        self.known = prompt + made[:-1], cache
        return self._told(made)

    def _logits(self, ids: Sequence[int], cache):
        """Return the logits (vocabulary) of what follows the tokens in `cache` and then `ids`, which it gets too."""
        import torch

        with torch.compiler.set_stance("force_eager"):  # what the scorer has compiled is for many prompts
            return self.model(torch.tensor([ids], device=self.model.device), past_key_values=cache, logits_to_keep=1).logits[0, -1].float()

    def _cache(self, prompt: Sequence[int]):
        """Return keys and values for as many of the first tokens of `prompt` as the last prompt began with, the last token excepted."""
        from transformers import DynamicCache

        known, cache = self.known
        same = min(tokens.in_common(known, prompt), len(prompt) - 1)
        if not same:
            return DynamicCache(config=self.model.config)
        cache = copy.deepcopy(cache) if same < len(prompt) - 1 else cache
        if surplus := cache.get_seq_length() - same:
            cache.crop(-surplus)
        return cache
