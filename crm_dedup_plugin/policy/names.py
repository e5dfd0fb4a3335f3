"""Words that a steward knows: short forms of names, titles, legal forms, desks that share an inbox."""

from __future__ import annotations

import re
from functools import cache

from anyascii import anyascii
from cleanco import termdata
from nicknames import NickNamer

# Short forms in languages that the list of English nicknames does not have.
_DIMINUTIVES = {
    "johannes": "hans", "hannes": "hans", "alexander": "sascha alex", "aleksandr": "sasha alex", "aleksandra": "sasha", "friedrich": "fritz",
    "heinrich": "heinz", "maximilian": "max", "matthias": "matze", "sebastian": "basti", "ulrich": "uli", "wolfgang": "wolf", "josef": "sepp",
    "katharina": "kathi", "elisabeth": "lisa sissi", "margarete": "grete", "francisco": "paco pancho", "jose": "pepe", "ignacio": "nacho",
    "manuel": "manolo", "rosario": "charo", "guadalupe": "lupe", "dolores": "lola", "enrique": "quique", "giuseppe": "beppe peppe",
    "francesco": "franco cesco", "giovanni": "gianni", "luigi": "gigi", "francois": "fanfan", "frederic": "fred", "nicolas": "nico",
    "alexandre": "alex", "dmitri": "dima", "dmitrii": "dima", "ekaterina": "katya", "ivan": "vanya", "mikhail": "misha", "nikolai": "kolya",
    "natalya": "natasha", "vladimir": "volodya vova", "sergei": "seryozha", "evgenii": "zhenya", "evgeny": "zhenya", "maria": "masha mia",
    "anna": "anya", "tatyana": "tanya", "yuri": "yura", "jan": "janek", "katarzyna": "kasia", "malgorzata": "gosia", "tomasz": "tomek",
    "joao": "joca", "antonio": "toni tonio", "konstantinos": "kostas", "georgios": "giorgos", "dimitrios": "dimitris", "ioannis": "giannis",
    "nikolaos": "nikos", "panagiotis": "takis", "johan": "jan", "cornelis": "kees", "hendrik": "henk", "wilhelmus": "wim", "petrus": "piet",
    "mohammed": "mo", "muhammad": "mo", "abdullah": "abdul",
}  # fmt: skip
TITLES = frozenset("mr mrs ms miss dr prof professor sir herr frau dipl ing mba phd mag sr sra srta don dona m mme mlle esq".split())
ROLE_INBOXES = frozenset(
    "info office contact contacts sales hello mail post admin administration support service enquiries enquiry reception billing accounts "
    "kontakt buero vertrieb einkauf contacto ventas contato accueil bonjour segreteria team hr jobs marketing help orders invoice noreply".split()
)
SUFFIXES = {"jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "ii", "iii": "iii", "iv": "iv"}
STREET_WORDS = {
    "street": "st", "str": "st", "strasse": "st", "saint": "st", "road": "rd", "avenue": "ave", "av": "ave", "avda": "ave", "avenida": "ave",
    "boulevard": "blvd", "bd": "blvd", "drive": "dr", "lane": "ln", "court": "ct", "place": "pl", "square": "sq", "highway": "hwy",
    "suite": "ste", "apartment": "apt", "floor": "fl", "north": "n", "south": "s", "east": "e", "west": "w", "calle": "c", "platz": "pl",
    "viale": "v", "via": "v", "straat": "st", "ulitsa": "ul", "ulica": "ul", "rua": "r", "rue": "r", "chemin": "ch", "parkway": "pkwy",
}  # fmt: skip


@cache
def short_forms(name: str) -> frozenset[str]:
    """Return the short forms of a given name, in plain lower-case letters."""
    own = _DIMINUTIVES.get(name, "").split()
    return frozenset(_english().nicknames_of(name)) | frozenset(own)


@cache
def _english() -> NickNamer:
    return NickNamer()


def _legal_forms() -> dict[str, str]:
    """Return each way to write a legal form, without signs and blanks, and one name for the form."""
    forms = {}
    for table in (termdata.terms_by_country, termdata.terms_by_type):
        for terms in table.values():
            for term in terms:
                key = re.sub(r"[^a-z0-9]", "", anyascii(term).casefold())
                if len(key) >= 2:
                    forms[key] = _SYNONYMS.get(key, key)
    return {**forms, **_SYNONYMS}


_SYNONYMS = {
    "incorporated": "inc", "inc": "inc", "corporation": "corp", "corp": "corp", "limited": "ltd", "ltd": "ltd", "privatelimited": "ltd",
    "pvtltd": "ltd", "publiclimitedcompany": "plc", "gesellschaftmitbeschrankterhaftung": "gmbh", "aktiengesellschaft": "ag", "ag": "ag",
    "gmbh": "gmbh", "gmbhandcokg": "gmbhcokg", "gmbhcokg": "gmbhcokg", "sociedadanonima": "sa", "societeanonyme": "sa", "sa": "sa",
    "company": "co", "limitedliabilitycompany": "llc", "llc": "llc", "aktiebolag": "ab", "ab": "ab", "aps": "aps", "oy": "oy", "srl": "srl",
    "spzoo": "spzoo", "spolkazoo": "spzoo", "sro": "sro", "bv": "bv", "nv": "nv", "sarl": "sarl", "sas": "sas", "spa": "spa", "ltda": "ltda",
    "as": "as", "asa": "asa", "kg": "kg", "ohg": "ohg", "sl": "sl", "eurl": "eurl", "scrl": "scrl", "plc": "plc", "kk": "kk", "ooo": "ooo",
    "zhushihuishe": "kk", "gongsi": "gongsi", "youxiangongsi": "gongsi",
}  # fmt: skip
LEGAL_FORMS = _legal_forms()
