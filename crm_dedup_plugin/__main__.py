"""``python -m crm_dedup_plugin`` is ``crm-dedup``."""

from crm_dedup_plugin.cli import run

run()
