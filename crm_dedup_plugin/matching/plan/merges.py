"""The plan for one group: who stays, what survives, and the steps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from crm_dedup_plugin.matching.plan import crm_merges
from crm_dedup_plugin.matching.plan.members import Member
from crm_dedup_plugin.matching.plan.survivors import Field, survive
from crm_dedup_plugin.matching.records import NEVER, Source


class Merge(NamedTuple):
    """What a plan does with one group."""

    crm: str  # one of `crm_merges.CRMS`
    members: Sequence[Member]  # the one that stays first
    fields: dict[str, Field]  # by column: what survives
    changed: dict[str, str]  # by column: values that the remaining record does not have yet
    values: crm_merges.Values  # the same in the terms of the CRM
    steps: list[dict]
    left_over: list[str]  # ids that no step can merge, because there are too many
    by_hand: list[str]  # of records whose ids are made up, so that no step can merge them

    def as_json(self) -> dict:
        """Return the line of ``merge_plan.jsonl``: exact values."""
        ids = {member.row: member.id for member in self.members}
        primary, *others = ({"row": member.row, "id": member.id, "line": member.line} for member in self.members)
        fields = {
            name: {
                "value": field.value,
                "from": [ids[row] for row in field.rows],
                "rule": field.rule,
                "changed": name in self.changed,
                "conflict": field.conflict,
                "lost": [{"id": ids[row], "value": value} for row, value in field.lost],
            }
            for name, field in self.fields.items()
        }
        return {
            "group": min(ids),
            "crm": self.crm,
            "primary": primary,
            "merged": others,
            "steps": self.steps,
            "set_by_hand": self.values.by_hand,
            "unknown_names": self.values.unknown,
            "left_over": self.left_over,
            "by_hand": self.by_hand,
            "fields": fields,
        }


def planned(source: Source, members: Sequence[Member], rules: Mapping[str, str], chosen: Iterable[tuple[str, int]] = ()) -> Merge:
    """Return the plan for the members of a group, the one that stays first; `rules` gives each column's.

    `chosen` holds columns, each with the row whose value a person wants to survive; rows of other groups are ignored.
    A CRM merges by ids: a file without a column of ids has no steps, and records without an id are merged by hand.
    """
    crm = crm_merges.NONE if source.column_of_ids is None else source.crm
    kind = crm_merges.LEAD if "lead" in source.profile.casefold() else source.kind
    fields = survive(members, source.columns, rules, chosen)
    primary = members[0].values
    changed = {name: field.value for name, field in fields.items() if field.value != primary.get(name, "")}
    # HubSpot keeps what an address unsubscribed from by itself, and lets nobody set it.
    fixed = {column.name for column in source.columns if column.role == NEVER} if crm == crm_merges.HUBSPOT else set()
    sent = {name: value for name, value in changed.items() if name not in fixed}
    values = crm_merges.values(crm, kind, sent, {**primary, **changed})
    known = [member for member in members if member.has_id]
    by_hand = [member.id for member in members[max(len(known), 1) :]] if crm else []
    steps, left_over = crm_merges.steps(crm, kind, known, values.set) if len(known) > 1 else ([], [])
    return Merge(crm, members, fields, changed, values, steps, left_over, by_hand)
