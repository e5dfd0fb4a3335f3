"""What an engine returns for a batch of pairs."""

from dataclasses import dataclass
from typing import NamedTuple

from crm_dedup_plugin.pair import answer


class Reply(NamedTuple):
    """A whole answer (None if it does not fit the schema), and whether it was cut off at its limit of tokens."""

    answer: answer.Answer | None
    truncated: bool


@dataclass(frozen=True)
class Batch:
    """The answers to some pairs, in the order of the pairs, with what they cost."""

    answers: list  # for DECISION, three probabilities in the order of `LABELS`; otherwise a `Reply`
    lengths: list[int]  # output tokens of each answer
    prompt_tokens: int
    cached_tokens: int  # prompt tokens that came from the prefix cache
    seconds: float  # from the records to the answers, tokenising and parsing included
    engine_seconds: float  # those in which vLLM was at work; most prompts are tokenised meanwhile
    again: int = 0  # answers that the grammar did not accept as they were, and that were asked again under it

    def counts(self) -> dict:
        """Return the sums over all pairs and the times, without the answers."""
        return {
            "pairs": len(self.answers),
            "seconds": self.seconds,
            "engine_seconds": self.engine_seconds,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": sum(self.lengths),
            "cached_tokens": self.cached_tokens,
        }
