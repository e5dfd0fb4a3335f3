"""From groups of records to a merge plan that a CRM can carry out. Nothing is ever sent anywhere."""

from crm_dedup_plugin.matching.plan.stage import check, plan

__all__ = ["check", "plan"]
