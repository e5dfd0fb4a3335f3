"""What a board returns. All of it is plain: `json.dumps(dataclasses.asdict(one))` works.

Rows are those of `matching.records.Records`. Text is printable and not too long, but nothing in it is escaped.
"""

from dataclasses import dataclass

from crm_dedup_plugin.matching.estimate import Share

Rows = tuple[int, int]


@dataclass(frozen=True)
class Head:
    """A record, as a person knows it again."""

    row: int
    id: str
    place: str
    words: list[str]
    group: int  # the smallest row of its group
    group_size: int


@dataclass(frozen=True)
class Segment:
    """A part of a value."""

    text: str
    differs: bool  # from the other record's value


@dataclass(frozen=True)
class Field:
    """A field of two records."""

    key: str
    name: str
    concept: str | None
    evidence: bool  # the model read it
    a: list[Segment]  # nothing where it is blank
    b: list[Segment]
    how: str  # a value of `match_fields.HOW`
    named: bool  # by the model's reasoning
    cut: bool  # a value is longer than what is shown


@dataclass(frozen=True)
class Model:
    """What the model says of a pair."""

    decision: str
    duplicate: float
    possible: float
    no_match: float
    words: str
    reasoning: str  # "" where none was asked for
    says: str  # "same" where it would merge them, "different", or "unsure"


@dataclass(frozen=True)
class Given:
    """The answer about a pair that holds now."""

    answer: str
    note: str
    time: str
    n: int
    drawn: str
    blind: bool


@dataclass(frozen=True)
class Pair:
    """Two records side by side."""

    a: int
    b: int
    records: list[Head]
    fields: list[Field]
    model: Model | None
    waits: str  # why it waits for a person; "" where it does not
    together: bool  # in one group
    answer: Given | None
    changed: bool  # since it was answered
    drawn: str  # how it counts if it is answered now
    stratum: int | None


@dataclass(frozen=True)
class Next:
    """The pair to ask about, and how it was drawn."""

    a: int
    b: int
    drawn: str


@dataclass(frozen=True)
class Item:
    """A pair in a list."""

    a: int
    b: int
    words: list[list[str]]
    decision: str | None
    duplicate: float | None
    waits: str
    again: bool  # a pair of the same two groups stands further up
    answer: str  # "" where there is none
    disagrees: bool  # the answer with the model


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    total: int
    offset: int
    items: list  # of `Item`, or of `GroupItem`


@dataclass(frozen=True)
class Progress:
    """How far the review has come, and what it says of the run."""

    answered: int
    waiting: int
    by_answer: dict[str, int]
    groups: int
    records_removed: int
    agreement: Share | None
    precision: Share | None
    missing: Share | None
    sentences: list[str]
    until: dict[str, int]  # answers that are still missing until learning helps
    changed: int  # answers about records that have changed since
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True)
class Change:
    """What an answer, an undo or a redo has changed."""

    n: int
    kind: str
    pairs: list[list[int]]
    rows: list[int]
    answer: str
    field: str
    undone: bool
    contradicts: bool  # answers contradict each other now: of two, the later "same" holds, and the earlier pair waits again
    groups: list[int]  # the smallest rows of the groups that are other ones now
    progress: Progress


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
