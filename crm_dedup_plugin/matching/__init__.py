"""Use a model: ask it about pairs of your own."""

from crm_dedup_plugin.matching.matcher import Decision, Matcher

__all__ = ["Decision", "Matcher"]
