"""A merge in the terms of each CRM's own interface, as steps to carry out in their order. Nothing here sends anything."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from crm_dedup_plugin.matching.plan.members import Member
from crm_dedup_plugin.policy.vocabulary import load

HUBSPOT, SALESFORCE, DYNAMICS, PIPEDRIVE, ZOHO, NONE = CRMS = ("hubspot", "salesforce", "dynamics", "pipedrive", "zoho", "")
CONTACT, ACCOUNT, LEAD = "contact", "account", "lead"
HUBSPOT_MOST = 250  # records that HubSpot merges into one
BY_HAND = "by hand"
_NAMES = load("field_names", {str: {str: {str: str}}}, Path(__file__).parent)  # by CRM and kind: the API's name of each column
_OBJECTS = {  # what a CRM calls contacts, accounts and leads
    HUBSPOT: {CONTACT: "contacts", ACCOUNT: "companies", LEAD: "leads"},
    SALESFORCE: {CONTACT: "Contact", ACCOUNT: "Account", LEAD: "Lead"},
    DYNAMICS: {CONTACT: "contact", ACCOUNT: "account", LEAD: "lead"},
    PIPEDRIVE: {CONTACT: "persons", ACCOUNT: "organizations", LEAD: "persons"},
}
_OWN_NAME = {  # what a name in the API of a CRM looks like
    HUBSPOT: re.compile(r"[a-z][a-z0-9_]*"),
    SALESFORCE: re.compile(r"[A-Z]\w*"),
    DYNAMICS: re.compile(r"[a-z][a-z0-9_]*"),
    PIPEDRIVE: re.compile(r"[a-z][a-z0-9_]*"),
}


class Values(NamedTuple):
    """Values that the remaining record gets, as the API of a CRM names them."""

    set: dict[str, object]
    by_hand: dict[str, str]  # by column: what points to another record
    unknown: list[str]  # columns whose names are kept, although they cannot be those of the API


def values(crm: str, kind: str, changed: Mapping[str, str], all_: Mapping[str, str]) -> Values:
    """Return the `changed` columns in the terms of a CRM; `all_` is the whole remaining record, for lists that are replaced as a whole."""
    known = _NAMES.get(crm, {}).get(ACCOUNT if kind == ACCOUNT else CONTACT, {})
    found = Values({}, {}, [])
    for column, value in changed.items():
        name = known.get(column, column)
        if name == BY_HAND:
            found.by_hand[column] = value
        elif "/" in name and column in known:  # a list of values with labels
            whole = name.split("/")[0]
            found.set[whole] = _labelled(whole, known, all_)
        else:
            found.set[name] = value
            if column not in known and crm in _OWN_NAME and not _OWN_NAME[crm].fullmatch(column):
                found.unknown.append(column)
    return found


def steps(crm: str, kind: str, members: Sequence[Member], changed: Mapping[str, object]) -> tuple[list[dict], list[str]]:
    """Return the steps that merge `members` into the first one, which gets the `changed` values, and the ids that no step can merge.

    A step's "step" counts from 1. ``{"id_of_step": n}`` stands for the id that step n returns.
    """
    build: Callable | None = {HUBSPOT: _hubspot, SALESFORCE: _salesforce, DYNAMICS: _dynamics, PIPEDRIVE: _pipedrive, ZOHO: _zoho}.get(crm)
    if build is None:
        return [], []
    primary, *others = [member.id for member in members]
    most = HUBSPOT_MOST if crm == HUBSPOT else len(others)
    found = build(_OBJECTS.get(crm, {}).get(kind, kind), primary, others[:most], dict(changed))
    return [{"step": number, **step} for number, step in enumerate(found, start=1)], others[most:]


def _hubspot(name: str, primary: str, others: list[str], changed: dict) -> list[dict]:
    """The primary's values win, so they are set first. A merge of contacts or companies returns a new id, which the next one follows."""
    path = f"/crm/v3/objects/{name}"
    found = [{"method": "PATCH", "path": f"{path}/{quote(primary, safe='')}", "body": {"properties": changed}}] if changed else []
    stays: object = primary
    for other in others:
        found.append({"method": "POST", "path": f"{path}/merge", "body": {"primaryObjectId": stays, "objectIdToMerge": other}})
        stays = {"id_of_step": len(found)}
    return found


def _salesforce(name: str, primary: str, others: list[str], changed: dict) -> list[dict]:
    """A master and up to two others a request; the chosen values go on the master."""
    found = []
    for pair in _twos(others):
        master = {"type": name, "Id": primary, **({} if found else changed)}
        found.append({"call": "merge", "masterRecord": master, "recordToMergeIds": pair})
    return found


def _dynamics(name: str, primary: str, others: list[str], changed: dict) -> list[dict]:
    """The subordinate is deactivated; what the target gets goes with the first merge."""
    kind = {"@odata.type": f"Microsoft.Dynamics.CRM.{name}"}
    return [
        {
            "method": "POST",
            "path": "/api/data/v9.2/Merge",
            "body": {
                "Target": {**kind, f"{name}id": primary},
                "Subordinate": {**kind, f"{name}id": other},
                "UpdateContent": {**kind, **({} if at else changed)},
                "PerformParentingChecks": False,
            },
        }
        for at, other in enumerate(others)
    ]


def _pipedrive(name: str, primary: str, others: list[str], changed: dict) -> list[dict]:
    """The reverse direction: the record of the address disappears, and `merge_with_id` stays."""
    found = [{"method": "PUT", "path": f"/v1/{name}/{quote(primary, safe='')}", "body": changed}] if changed else []
    stays = int(primary) if re.fullmatch("[0-9]+", primary) else primary
    return found + [{"method": "PUT", "path": f"/v1/{name}/{quote(other, safe='')}/merge", "body": {"merge_with_id": stays}} for other in others]


def _zoho(name: str, primary: str, others: list[str], changed: dict) -> list[dict]:
    """A work list for a person: three records at a time."""
    return [{"by_hand": "merge", "master": primary, "with": pair, "set": {} if at else changed} for at, pair in enumerate(_twos(others))]


def _twos(ids: list[str]) -> list[list[str]]:
    return [ids[at : at + 2] for at in range(0, len(ids), 2)]


def _labelled(whole: str, known: Mapping[str, str], record: Mapping[str, str]) -> list[dict]:
    """Return a list of all values of a record under a name such as "email", each with its label; the first is the primary one."""
    found = []
    for column, name in known.items():
        head, _, label = name.partition("/")
        if head == whole and label:
            found += [{"value": part.strip(), "label": label} for part in record.get(column, "").split(",") if part.strip()]
    return [{**one, "primary": at == 0} for at, one in enumerate(found)]
