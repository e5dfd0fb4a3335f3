"""Which slices can bring about which decision; a slice that is named twice is drawn twice as often."""

from __future__ import annotations

from collections.abc import Callable

from crm_dedup_plugin.dataset.synth import companies, people
from crm_dedup_plugin.dataset.synth.scene import Scene
from crm_dedup_plugin.dataset.synth.world import World

Scenario = Callable[[World], Scene]
ONE_PERSON: tuple[Scenario, ...] = (
    people.contact_same,
    people.contact_nickname,
    people.contact_script,
    people.contact_moved,
    people.contact_new_job,
    people.contact_married,
)
TWO_PEOPLE: tuple[Scenario, ...] = (
    *2 * (people.relative, people.twin, people.senior_junior, people.colleague, people.namesake, people.similar_name),
    people.lent_address, people.stranger,
)  # fmt: skip
UNDECIDED_PEOPLE: tuple[Scenario, ...] = (
    people.contact_conflict,
    people.lent_address,
    *ONE_PERSON,
    people.namesake,
    people.senior_junior,
    people.colleague,
)
ONE_COMPANY: tuple[Scenario, ...] = (
    companies.account_same, companies.account_legal_form, companies.account_abbreviated, companies.account_rebranded,
    companies.account_moved, companies.account_script,
)  # fmt: skip
TWO_COMPANIES: tuple[Scenario, ...] = (
    *2 * (companies.branch, companies.subsidiary, companies.franchise, companies.office_tower, companies.similar_account),
    companies.other_account,
)  # fmt: skip
UNDECIDED_COMPANIES: tuple[Scenario, ...] = (companies.account_conflict, *ONE_COMPANY, companies.branch, companies.subsidiary, companies.office_tower)
NOTED = {
    "person": {
        "DUPLICATE": (people.note_maiden, people.note_employer, people.note_own_contact),
        "NO_MATCH": (people.note_acquaintance, people.note_namesake),
        "POSSIBLE": (people.note_shared, people.note_others_contact, people.note_maiden),
    },
    "company": {
        "DUPLICATE": (companies.note_renamed, companies.note_moved),
        "NO_MATCH": (companies.note_related, companies.note_head_office),
        "POSSIBLE": (companies.note_renamed, companies.note_moved, companies.account_conflict),
    },
}
BY_DECISION = {
    "person": {"DUPLICATE": (*ONE_PERSON, people.senior_junior), "NO_MATCH": TWO_PEOPLE, "POSSIBLE": UNDECIDED_PEOPLE},
    "company": {"DUPLICATE": ONE_COMPANY, "NO_MATCH": TWO_COMPANIES, "POSSIBLE": UNDECIDED_COMPANIES},
}
