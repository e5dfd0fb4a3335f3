"""What a clerk wrote into the notes: a sentence that says whose name, address or number it is.

"née Kowalski" joins two records, "assistant of Kowalski" keeps them apart, though the same word stands in both.

>>> read("VIP; née Kowalski")
[('maiden', 'Kowalski')]
"""

from __future__ import annotations

import re
from functools import lru_cache

# Kind of note: ways to begin it. What follows is a value, except for the last four kinds.
CUES: dict[str, tuple[str, ...]] = {
    "maiden": ("née", "maiden name", "formerly named", "geb.", "früher", "nom de jeune fille", "antes", "nata"),
    "met": ("introduced by", "assistant of", "neighbour of", "sister-in-law of", "empfohlen von", "Assistenz von", "recommandée par", "amiga de"),
    "employer": ("until last year at", "previously with", "left", "bis 2022 bei", "ancien de", "antes en"),
    "client": ("consultant for", "supplier of", "freelance for", "arbeitet für den Kunden", "prestataire de", "proveedor de"),
    "renamed": ("formerly", "previously known as", "new name of", "vormals", "umbenannt, alt:", "anciennement", "antes llamada", "già"),
    "related": ("subsidiary of", "sister company of", "customer of", "tenant of", "Tochter von", "Kunde von", "filiale de", "proveedor de la firma"),
    "moved": ("moved from", "old address:", "until 2022 at", "umgezogen von", "alte Anschrift:", "ancienne adresse :", "antes en la calle"),
    "head_office": ("branch, head office at", "invoices to head office,", "Filiale, Zentrale:", "agence, siège :", "sucursal, sede central:"),
    "own_contact": ("also", "private:", "new number", "second address", "privat:", "aussi", "también"),
    "others_contact": ("assistant:", "in urgent cases her husband,", "reception:", "Vertretung:", "son assistant :", "su asistente:"),
    "shared_email": ("mailbox shared with the family", "team mailbox, read by all", "Postfach der ganzen Abteilung", "boîte commune",
                     "correo compartido"),
    "shared_mobile": ("mobile of the whole shift", "phone shared with spouse", "Diensthandy, wechselnde Nutzer", "portable commun",
                      "móvil compartido"),
    "namesake": ("father has the same name", "not the one of the same name in our files", "Namensvetter im Bestand", "homonyme au fichier",
                 "hay otro igual"),
    "none": ("wants a quote", "do not call before 10", "newsletter: yes", "Rechnung per Post", "VIP", "ruft zurück", "demande un devis",
             "cliente desde 2017", "left a voicemail", "paid late twice", "met at the trade fair", "prefers letters", "imported 2019-04"),
}  # fmt: skip
BARE = frozenset(("shared_email", "shared_mobile", "namesake", "none"))
_KINDS = {cue.casefold(): kind for kind, cues in CUES.items() for cue in cues}
_CUE = re.compile(f"({'|'.join(re.escape(cue) for cue in sorted(_KINDS, key=len, reverse=True))})(?![^\\W_])")


@lru_cache(maxsize=20_000)
def read(notes: str) -> list[tuple[str, str]]:
    """Return (kind, value) for each clause of a note that begins with a known cue, other than small talk."""
    found = []
    for clause in re.split(r"[;\n]| \| ", notes):
        clause = clause.strip()
        cue = _CUE.match(clause.casefold())
        if cue and _KINDS[cue[1]] != "none":
            found.append((_KINDS[cue[1]], clause[cue.end() :].strip(" .")))
    return found


def write(kind: str, cue: int, value: str = "") -> str:
    """Return a clause of a kind; `cue` chooses the wording."""
    text = CUES[kind][cue % len(CUES[kind])]
    return text if kind in BARE else f"{text} {value}"
