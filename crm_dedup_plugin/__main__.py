"""``python -m crm_dedup_plugin`` is ``crm-dedup``."""

import sys

from crm_dedup_plugin.cli import main

sys.exit(main())
