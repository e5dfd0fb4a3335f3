"""How far a long job has come, for people: one line at a time on standard error, never with a value of a record."""

import sys
import time
from collections.abc import Callable

SELDOM = 5  # seconds between two lines


def tell(text: str) -> None:
    """Print a line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def shown(what: str, unit: str, total: int, done: int = 0, price: float | None = None) -> Callable[[int], None]:
    """Return what is told after each step how many of `total` are done, and says so with the time left; `done` were done before.

    `price` is that of an hour of this machine; with it, each line also says what the whole job costs.
    """
    began = time.monotonic()
    last = [0.0]

    def say(now: int) -> None:
        passed = time.monotonic() - began
        if now < total and passed - last[0] < SELDOM:
            return
        last[0] = passed
        rate = (now - done) / max(passed, 1e-9)
        left = (total - now) / max(rate, 1e-9)
        cost = f", {price * (passed + left) / 3600:,.2f} in all" if price else ""
        tell(f"{what}: {now:,} of {total:,} {unit}, {rate:,.1f} a second, {clock(left)} left{cost}")

    return say


def many(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s in the plural.

    >>> many(1, "group"), many(2_000, "pair")
    ('1 group', '2,000 pairs')
    """
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"


def clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: 0:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
