"""What a board returns of groups; as plain as `shapes`."""

from dataclasses import dataclass

from crm_dedup_plugin.review.shapes import Head


@dataclass(frozen=True)
class GroupItem:
    """A group in a list."""

    row: int
    size: int
    words: list[str]
    rows: list[int]  # the first of them
    answered: bool  # a person had a say in it
    conflicts: int


@dataclass(frozen=True)
class Cell:
    """A value of a record in its group."""

    text: str
    differs: bool  # from what most of the group say


@dataclass(frozen=True)
class Link:
    """A pair that holds a group together or keeps it from another."""

    a: int
    b: int
    kind: str  # one of `grouping.tables.KINDS`
    by: str  # "model" or "person"
    duplicate: float | None


@dataclass(frozen=True)
class Choice:
    """A value that a field could have, and the record that has it."""

    row: int
    value: str


@dataclass(frozen=True)
class PlanField:
    """What becomes of a field of a group."""

    name: str
    value: str
    rows: list[int]
    rule: str
    changed: bool
    conflict: bool
    chosen: bool  # by a person
    choices: list[Choice]


@dataclass(frozen=True)
class Plan:
    """The merge of a group."""

    crm: str
    primary: int
    chosen: bool  # by a person
    fields: list[PlanField]
    steps: list[dict]
    left_over: list[str]
    by_hand: list[str]
    set_by_hand: dict[str, str]


@dataclass(frozen=True)
class Group:
    """The records of a group in one table."""

    row: int
    size: int
    members: list[Head]
    columns: list[str]
    cells: list[list[Cell]]  # a row for each member
    links: list[Link]
    plan: Plan | None
