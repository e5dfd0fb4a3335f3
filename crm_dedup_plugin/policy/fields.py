"""What a field of a CRM holds: from the names that Salesforce, HubSpot, Dynamics and spreadsheets use to one concept.

>>> concept_of("MobilePhone"), concept_of("address1_city"), concept_of("Colour")
('mobile', 'city', None)
"""

from __future__ import annotations

import re
from functools import lru_cache

# Concept: what it is called in a sentence. The order is that in which a steward looks at a pair.
CONCEPTS = {
    "first": "first name", "last": "last name", "name": "name", "suffix": "name suffix", "company": "company",
    "email": "e-mail", "mobile": "mobile", "birth": "date of birth", "tax": "tax number", "phone": "phone",
    "website": "website", "street": "street", "postcode": "postcode", "city": "city", "country": "country",
    "role": "job title", "salutation": "salutation", "notes": "notes",
}  # fmt: skip

# Field names of contacts and accounts; several for one concept where an installation chooses.
SCHEMAS: dict[str, dict[str, tuple[str, ...]]] = {
    "salesforce": {
        "first": ("FirstName",), "last": ("LastName",), "name": ("Name",), "suffix": ("Suffix",), "salutation": ("Salutation",),
        "company": ("AccountName",), "email": ("Email",), "mobile": ("MobilePhone",), "birth": ("Birthdate",),
        "tax": ("TaxId__c", "VAT_Number__c"), "phone": ("Phone",), "website": ("Website",), "street": ("MailingStreet", "BillingStreet"),
        "postcode": ("MailingPostalCode", "BillingPostalCode"), "city": ("MailingCity", "BillingCity"),
        "country": ("MailingCountry", "BillingCountry"), "role": ("Title",), "notes": ("Description",),
    },
    "hubspot": {
        "first": ("firstname",), "last": ("lastname",), "name": ("full_name",), "suffix": ("suffix",), "salutation": ("salutation",),
        "company": ("company",), "email": ("email",), "mobile": ("mobilephone",), "birth": ("date_of_birth",), "tax": ("tax_id", "vat_number"),
        "phone": ("phone",), "website": ("website", "domain"), "street": ("address",), "postcode": ("zip",), "city": ("city",),
        "country": ("country",), "role": ("jobtitle",), "notes": ("notes", "message"),
    },
    "dynamics": {
        "first": ("firstname",), "last": ("lastname",), "name": ("fullname",), "suffix": ("suffix",), "salutation": ("salutation",),
        "company": ("parentaccountname",), "email": ("emailaddress1",), "mobile": ("mobilephone",), "birth": ("birthdate",),
        "tax": ("governmentid", "taxnumber"), "phone": ("telephone1",), "website": ("websiteurl",), "street": ("address1_line1",),
        "postcode": ("address1_postalcode",), "city": ("address1_city",), "country": ("address1_country",), "role": ("jobtitle",),
        "notes": ("description",),
    },
    "spreadsheet": {
        "first": ("First Name", "Given name"), "last": ("Last Name", "Surname"), "name": ("Name", "Full Name", "Contact"),
        "suffix": ("Suffix",), "salutation": ("Salutation", "Mr/Ms"), "company": ("Company", "Firm", "Organisation"),
        "email": ("E-mail", "Email address"), "mobile": ("Mobile", "Cell", "Mobile No."), "birth": ("DOB", "Date of birth", "Born"),
        "tax": ("Tax No.", "VAT ID"), "phone": ("Phone", "Tel.", "Telephone"), "website": ("Web", "Homepage", "URL"),
        "street": ("Address", "Street"), "postcode": ("ZIP", "Postcode"), "city": ("City", "Town"), "country": ("Country",),
        "role": ("Position", "Job Title"), "notes": ("Notes", "Comments", "Remarks"),
    },
}  # fmt: skip
# Never in training: German, French and upper-case database names.
UNSEEN_SCHEMAS: dict[str, dict[str, tuple[str, ...]]] = {
    "german": {
        "first": ("Vorname",), "last": ("Nachname",), "name": ("Ansprechpartner",), "suffix": ("Namenszusatz",), "salutation": ("Anrede",),
        "company": ("Firma",), "email": ("E-Mail-Adresse",), "mobile": ("Mobilnummer",), "birth": ("Geburtsdatum",), "tax": ("Steuernummer",),
        "phone": ("Telefon",), "website": ("Internetseite",), "street": ("Strasse",), "postcode": ("PLZ",), "city": ("Ort",),
        "country": ("Land",), "role": ("Funktion",), "notes": ("Bemerkung",),
    },
    "database": {
        "first": ("GIVEN_NM",), "last": ("FAMILY_NM",), "name": ("PARTY_NM",), "suffix": ("NM_SFX",), "salutation": ("NM_PFX",),
        "company": ("ORG_NM",), "email": ("EMAIL_ADDR",), "mobile": ("CELL_PHN",), "birth": ("BIRTH_DT",), "tax": ("TAX_REG_NBR",),
        "phone": ("PHN_NBR",), "website": ("WEB_URL",), "street": ("ADDR_LN1",), "postcode": ("POSTAL_CD",), "city": ("CITY_NM",),
        "country": ("CTRY_CD",), "role": ("JOB_TTL",), "notes": ("CMNT_TXT",),
    },
}  # fmt: skip

# Tried in this order on names that no schema has: the field of somebody's own spreadsheet.
_PATTERNS = (
    ("email", r"(^|_)e_?mail|mail($|_)|courriel|correo"), ("city", r"birth_?place"), ("mobile", r"mobil|cell|handy"),
    ("phone", r"phone|(^|_)tel($|_|ephone|efon)|telefon|fax|phn"), ("birth", r"birth|dob|born|geb"),
    ("website", r"web|url|domain|homepage"), ("postcode", r"zip|postal|postcode|plz"),
    ("tax", r"vat|tax|steuer|govern|regist|(^|_)ein($|_)|nif|siret"),
    ("notes", r"note|comment|remark|descr|bemerk"), ("city", r"city|town|suburb|(^|_)ort($|_)|locality"), ("country", r"country|ctry"),
    ("street", r"street|address|addr|strasse|line1"), ("suffix", r"suffix"), ("salutation", r"salut|prefix|anrede"),
    ("first", r"first|given|vorname|forename|fname"), ("last", r"last.?name|surname|family|nachname|lname"),
    ("company", r"company|account|org|firm|employer|business|site.?name"), ("role", r"job|position|role|title|occupation|funktion"),
    ("name", r"name|contact"),
)  # fmt: skip
_ADMINISTRATIVE = re.compile(
    r"(^|_)(id|type|owner|status|state|date|count|method|source|stage|opt|opted|contacted|conversion|bounced|created|modified)($|_)"
)
_PATTERNS_COMPILED = tuple((concept, re.compile(pattern)) for concept, pattern in _PATTERNS)

_PLACEHOLDERS = frozenset(
    "n/a na none null nil unknown unbekannt inconnu tbd tba todo test xxx xx x - -- --- . .. ? ?? ??? 0 00 000 0000 00000 "
    "000000 0000000 00000000 000000000 0000000000 1234567890 123456789 9999999999 1111111111 test@test.com none@none.com "
    "noemail@noemail.com no@email.com a@a.com example@example.com 1900-01-01 01/01/1900 1970-01-01 asdf".split()
    + ["not provided", "do not use", "no email", "see notes", "private", "confidential"]
)  # fmt: skip


@lru_cache(maxsize=4096)
def concept_of(name: str) -> str | None:
    """Return the key of `CONCEPTS` that a field name stands for, or None where it says nothing."""
    key = _key(name)
    if key in _KNOWN:
        return _KNOWN[key]
    spaced = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    if _ADMINISTRATIVE.search(spaced) and not re.search("birth|tax|vat", spaced):
        return None
    return next((concept for concept, pattern in _PATTERNS_COMPILED if pattern.search(spaced)), None)


@lru_cache(maxsize=65536)
def is_placeholder(value: str) -> bool:
    """Tell whether a value only fills a mandatory field: n/a, test@test.com, 0000."""
    text = value.strip().casefold()
    digits = re.sub(r"[\s()+/.-]", "", text)
    return text in _PLACEHOLDERS or digits in _PLACEHOLDERS or not text


def by_concept(record: dict[str, str]) -> dict[str, str]:
    """Return the values of a record by concept, without placeholders; the first field of a concept counts."""
    values: dict[str, str] = {}
    for name, value in record.items():
        concept = concept_of(name)
        if concept and not is_placeholder(value) and not (concept == "email" and "@" not in value):
            values.setdefault(concept, value)
    return values


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_KNOWN = {
    _key(name): concept
    for schema in (*SCHEMAS.values(), *UNSEEN_SCHEMAS.values())
    for concept, names in schema.items()
    for name in names
}  # fmt: skip
