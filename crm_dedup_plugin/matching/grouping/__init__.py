"""From decisions about pairs to groups of records, each of one entity."""

from crm_dedup_plugin.matching.grouping.stage import group

__all__ = ["group"]
