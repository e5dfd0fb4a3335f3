"""Field names that no CRM of ``steward.fields.SCHEMAS`` gives: of other languages and of databases, for training.

>>> rename(({"Email": "a@b.example"}, {"Email": "a@c.example"}), Random(2))
({'Correo electrónico': 'a@b.example'}, {'Courriel': 'a@c.example'})
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from crm_dedup_plugin.dataset.perturb import Pair, Record
from crm_dedup_plugin.policy.fields import SCHEMAS, UNSEEN_SCHEMAS, concept_of


def letters(text: str) -> str:
    """Return the letters and digits of a text, of any script, in lower case."""
    return "".join(filter(str.isalnum, text.casefold()))


LANGUAGES = ("french", "spanish", "italian", "dutch", "portuguese")
_TRANSLATED = {  # in the order of LANGUAGES
    "first": ("Prénom", "Nombre de pila", "Nome", "Voornaam", "Nome próprio"),
    "last": ("Nom de famille", "Apellidos", "Cognome", "Achternaam", "Sobrenome"),
    "name": ("Nom complet", "Nombre completo", "Nominativo", "Volledige naam", "Nome completo"),
    "suffix": ("Suffixe", "Sufijo", "Suffisso", "Achtervoegsel", "Sufixo"),
    "salutation": ("Civilité", "Tratamiento", "Titolo di cortesia", "Aanhef", "Forma de tratamento"),
    "company": ("Société", "Empresa", "Azienda", "Bedrijf", "Entidade"),
    "email": ("Courriel", "Correo electrónico", "Posta elettronica", "E-mailadres", "Correio eletrónico"),
    "mobile": ("Portable", "Móvil", "Cellulare", "Mobiel nummer", "Telemóvel"),
    "birth": ("Date de naissance", "Fecha de nacimiento", "Data di nascita", "Geboortedatum", "Data de nascimento"),
    "tax": ("N° TVA", "NIF", "Partita IVA", "BTW-nummer", "Contribuinte"),
    "phone": ("Téléphone", "Teléfono", "Numero di telefono", "Telefoonnummer", "Telefone fixo"),
    "website": ("Site internet", "Página web", "Sito", "Webpagina", "Sítio"),
    "street": ("Rue", "Calle", "Indirizzo", "Straat", "Morada"),
    "postcode": ("Code postal", "Código postal", "CAP", "Postkantoorcode", "CEP"),
    "city": ("Ville", "Ciudad", "Città", "Woonplaats", "Cidade"),
    "country": ("Pays", "País", "Nazione", "Landnaam", "Nação"),
    "role": ("Poste", "Cargo", "Mansione", "Functie", "Função"),
    "notes": ("Remarques", "Observaciones", "Annotazioni", "Opmerkingen", "Observações"),
}  # fmt: skip
_ENGLISH = {
    "first": ("first name", "forename", "given"), "last": ("last name", "surname", "family"), "name": ("full name", "contact name", "display name"),
    "suffix": ("name suffix", "suffix"), "salutation": ("salutation", "form of address"), "company": ("company name", "organization", "employer"),
    "email": ("email", "mail address", "email address"), "mobile": ("mobile", "mobile number", "cell number"),
    "birth": ("birth date", "birthday", "date of birth"), "tax": ("tax number", "vat number", "tax registration"),
    "phone": ("phone number", "telephone", "office phone"), "website": ("website", "home page", "web site"),
    "street": ("street", "street address", "address line 1"), "postcode": ("postal code", "zip code", "post code"),
    "city": ("city", "city name", "town"), "country": ("country", "country name", "country code"), "role": ("job title", "position"),
    "notes": ("note text", "comment", "memo"),
}  # fmt: skip

_PREFIXES = ("", "", "", "CUST_", "contact_", "p_", "SVC_", "tbl.")
_UNSEEN = frozenset(letters(name) for schema in UNSEEN_SCHEMAS.values() for names in schema.values() for name in names)
_KNOWN = frozenset(name for schema in SCHEMAS.values() for names in schema.values() for name in names)


def rename(pair: Pair, rng: Random) -> Pair:
    """Return the pair with its fields under the names of another language or a database, mostly the same for both records.

    As it is where a field has a name that no CRM of `SCHEMAS` gives: a list goes by its own names.
    """
    if not _KNOWN.issuperset(pair[0].keys() | pair[1].keys()):
        return pair
    ways = [_way(rng)] * 2 if rng.random() < 0.6 else [_way(rng), _way(rng)]
    return _renamed(pair[0], ways[0]), _renamed(pair[1], ways[1])


def _way(rng: Random) -> Callable[[str], str]:
    """Return a function from a concept to the name of its field."""
    prefix, pick = rng.choice(_PREFIXES), rng.random()
    if rng.random() < 0.4:
        language = rng.randrange(len(LANGUAGES))
        return lambda concept: _TRANSLATED[concept][language]
    style = rng.choice(_STYLES)
    return lambda concept: prefix + style(_ENGLISH[concept][int(pick * len(_ENGLISH[concept]))].split())


def _renamed(record: Record, way: Callable[[str], str]) -> Record:
    fields: Record = {}
    for name, value in record.items():
        new = way(concept_of(name))
        fields[name if new in fields or new in record or letters(new) in _UNSEEN else new] = value
    return fields


def _short(word: str) -> str:
    """Return the first letters of a word that are no vowels within it, as in CTRY for country."""
    return word[0] + re.sub("[aeiou]", "", word[1:])[:3]


_STYLES: tuple[Callable[[list[str]], str], ...] = (
    lambda words: "_".join(words).upper(),
    lambda words: "_".join(words).capitalize(),
    lambda words: words[0] + "".join(map(str.capitalize, words[1:])),
    lambda words: "".join(map(str.capitalize, words)),
    lambda words: " ".join(words).upper(),
    lambda words: "_".join(map(_short, words)).upper(),
    lambda words: "".join(map(_short, words)).upper(),
)
