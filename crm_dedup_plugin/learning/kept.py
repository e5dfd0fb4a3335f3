"""Steps of a long job that are done once: what each found is kept, by what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crm_dedup_plugin.storage import write_atomically


def key(made_from: object) -> str:
    """Return a hash of plain JSON."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


class Kept:
    """The results of steps, as JSON files in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, name: str, made_from: object, work: Callable[[], Any]) -> Any:
        """Return what the step `name` found when it was made from the same (plain JSON), or else what ``work()`` returns now."""
        path = self.folder / f"{name}.{key(made_from)}.json"
        if not path.is_file():
            found = json.dumps(work())
            for old in self.folder.glob(f"{name}.*.json"):
                old.unlink()
            write_atomically(path, found)
        return json.loads(path.read_text(encoding="utf-8"))
