"""The readers of sources, by the name that sources.yml gives them."""

import random
from collections.abc import Callable

from sources.organisations import brands, ofac, refdata
from sources.people import Files, congress, febrl, names, transliterations

READERS: dict[str, Callable[[Files, random.Random], list[dict]]] = {
    reader.__name__: reader for reader in (brands, congress, febrl, names, ofac, refdata, transliterations)
}
