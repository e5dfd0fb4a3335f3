"""Notes: sentences that say whose name, address or number they hold. The cues are in vocabulary/notes.yml.

"née Kowalski" joins two records, "assistant of Kowalski" keeps them apart, though the same name stands in both.

>>> read("VIP; née Kowalski")
[('maiden', 'Kowalski')]
"""

import re
from functools import lru_cache

from crm_dedup_plugin.policy.vocabulary import load

BARE = frozenset(("shared_email", "shared_mobile", "namesake", "none"))  # kinds of note in which no value follows the cue
_VALUED = ("maiden", "met", "employer", "client", "renamed", "related", "moved", "head_office", "own_contact", "others_contact")
CUES: dict[str, tuple[str, ...]] = load("notes", {kind: [str] for kind in (*_VALUED, *BARE)})
_KINDS = {cue.casefold(): kind for kind, cues in CUES.items() for cue in cues}
_CUE = re.compile(f"({'|'.join(re.escape(cue) for cue in sorted(_KINDS, key=len, reverse=True))})(?![^\\W_])")


@lru_cache(maxsize=20_000)
def read(notes: str) -> list[tuple[str, str]]:
    """Return (kind, value) for each clause of a note that begins with a known cue, except small talk."""
    found = []
    for clause in re.split(r"[;\n]| \| ", notes):
        clause = clause.strip()
        cue = _CUE.match(clause.casefold())
        if cue and _KINDS[cue[1]] != "none":
            found.append((_KINDS[cue[1]], clause[cue.end() :].strip(" .")))
    return found


def write(kind: str, cue: int, value: str = "") -> str:
    """Return a clause of a kind; the number `cue` chooses the wording."""
    text = CUES[kind][cue % len(CUES[kind])]
    return text if kind in BARE else f"{text} {value}"
