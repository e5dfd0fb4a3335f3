"""Stage 1 of `crm-dedup match`: files in many formats to one table of records, everything as text, with a report of what was understood."""

from crm_dedup_plugin.matching.read.stage import check, read

__all__ = ["check", "read"]
