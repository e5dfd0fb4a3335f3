"""What a slice hands on: two states of the world, and whether they are of one entity."""

from __future__ import annotations

from dataclasses import dataclass, field

from crm_dedup_plugin.dataset.synth.world import Entity

EMPLOYER = ("company", "phone", "website", "street", "city", "postcode", "country", "domain")
HOME = ("street", "city", "postcode", "country")


@dataclass
class Scene:
    """Two states of the world: values by concept, the clusters, and damage that the slice is about."""

    left: dict[str, object]
    right: dict[str, object]
    clusters: tuple[str, str]
    damage: dict[str, str] = field(default_factory=dict)  # concept: name of a function in `noise`, for the right record
    scripts: bool = False  # one record in the native script, one in Latin letters
    note: tuple[str, str] | None = None  # kind of note in the right record, and the concept of the left record that it names
    hidden: frozenset[str] = frozenset()  # concepts that neither record shows, so that the note decides

    @property
    def same(self) -> bool:
        """Tell the truth: whether both records describe one entity."""
        return self.clusters[0] == self.clusters[1]


def one(entity: Entity, right: dict[str, object] | None = None, **more) -> Scene:
    """Return a scene of one entity, whose second record shows `right`."""
    return Scene(entity.values, right or dict(entity.values), (entity.id, entity.id), **more)


def two(left: Entity, right: Entity) -> Scene:
    """Return a scene of two entities."""
    return Scene(left.values, right.values, (left.id, right.id))
