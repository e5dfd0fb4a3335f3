"""Learn from what a reviewer answered about a run of `crm-dedup match`."""
