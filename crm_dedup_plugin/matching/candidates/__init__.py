"""Find the pairs of records that are worth a decision, without comparing every record with every other."""

from crm_dedup_plugin.matching.candidates.stage import find

__all__ = ["find"]
