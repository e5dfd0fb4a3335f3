"""Who a record is about: a name together with an e-mail or phone. Pairs that share one belong on the same side of a split."""

from crm_dedup_plugin.policy.fields import by_concept
from crm_dedup_plugin.policy.names import company_parts, fold, person_words
from crm_dedup_plugin.policy.values import digits


def identities(row: dict) -> set[tuple[str, str]]:
    """Return a key for each name with an e-mail, mobile or phone in either record of a row."""
    return {key for record in row["input"].values() for key in _of(by_concept(record))}


def _of(values: dict[str, str]) -> list[tuple[str, str]]:
    person = person_words(" ".join(values[part] for part in ("name", "first", "last") if part in values))
    name = " ".join(sorted(person) if person else company_parts(values.get("company", ""))[0])
    contacts = [values["email"].strip().casefold()] if "email" in values else []
    contacts += [digits(values[part])[-9:] for part in ("mobile", "phone") if len(digits(values.get(part, ""))) >= 6]
    return [("identity", f"{name} {fold(contact)}") for contact in contacts if name]
