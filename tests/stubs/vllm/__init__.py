"""Stands in for vLLM where a test kills, interrupts or starves its processes: put ``tests/stubs`` on PYTHONPATH.

The processes, pipes, signals and HTTP are real; only the model is not. Environment variables control it: STUB_DELAY (seconds to
load an engine, and for each answer of the server), STUB_FAILURE ("context": the server refuses its settings, "answers": it answers
with errors, "endless": answers never end).
"""

import os
import time
from types import SimpleNamespace

DELAY = float(os.environ.get("STUB_DELAY", "0"))
FAILURE = os.environ.get("STUB_FAILURE", "")


class SamplingParams(SimpleNamespace):
    """Keeps what it is given."""


class LLM:
    """Answers at once; the probabilities of the decisions follow from the length of the prompt."""

    def __init__(self, model: str, **settings):
        time.sleep(DELAY)
        self.model, self.settings = model, settings
        config = {
            "model_config": SimpleNamespace(dtype="torch.float32", get_vocab_size=lambda: len(self.get_tokenizer())),
            "cache_config": SimpleNamespace(block_size=16),
            "scheduler_config": SimpleNamespace(max_num_seqs=settings.get("max_num_seqs", 256)),
        }
        self.llm_engine = SimpleNamespace(vllm_config=SimpleNamespace(**config))
        self.waiting: list[tuple] = []

    def get_tokenizer(self):
        from transformers import PreTrainedTokenizerFast  # imported in half the time of AutoTokenizer

        return PreTrainedTokenizerFast.from_pretrained(self.model)

    def reset_prefix_cache(self) -> bool:
        return True

    def enqueue(self, prompts, params, use_tqdm=False) -> list[str]:
        params = params if isinstance(params, list) else [params] * len(prompts)
        self.waiting += zip(prompts, params, strict=True)
        return [""] * len(prompts)

    def wait_for_completion(self, use_tqdm=False) -> list:
        waiting, self.waiting = self.waiting, []
        return [self.answer(len(prompt["prompt_token_ids"]), params) for prompt, params in waiting]

    def answer(self, length: int, params: SamplingParams):
        chosen = getattr(params, "logprob_token_ids", [])
        logprobs = [{token: SimpleNamespace(logprob=-float((length + at) % 3)) for at, token in enumerate(chosen)}]
        ends = FAILURE != "endless" and not hasattr(params, "ignore_eos")
        tokens = min(12, params.max_tokens) if ends else params.max_tokens
        text = '{"decision":"DUPLICATE","reasoning":"Same e-mail."}' if ends else '{"decision":"DUPLICATE","reasoning":"Same Same Same'
        output = SimpleNamespace(text=text, token_ids=[0] * tokens, logprobs=logprobs, finish_reason="stop" if ends else "length")
        return SimpleNamespace(outputs=[output], num_cached_tokens=0)
