"""The changes of a review: each can be taken back, and brought back until something else is answered."""

from pathlib import Path

from crm_dedup_plugin.matching import answers


class History:
    """What was answered about a run, by this process and by others."""

    def __init__(self, run: Path):
        self.run, self._seen = run, None
        self.undone: list[tuple[int, dict]] = []  # what `redo` brings back, the last one first: the number of the undo, and the entry

    def has_moved(self) -> bool:
        """Tell whether something was added since this was asked last, by whomever."""
        path = self.run / answers.FILE
        found = path.stat() if path.is_file() else None
        before, self._seen = self._seen, found and (found.st_size, found.st_mtime_ns)
        return before != self._seen

    def keep(self, entry: dict) -> dict:
        """Add an entry, and return it once it is on the disk."""
        kept = answers.append(self.run, entry)
        self.undone.clear()
        return kept

    def undo(self) -> dict | None:
        """Take back the latest entry that holds, and return it; None where there is none."""
        last = next(reversed(answers.entries(self.run)), None)
        if last:
            self.undone.append((answers.append(self.run, {"kind": answers.UNDO, "of": last["n"]})["n"], last))
        return last

    def redo(self) -> dict | None:
        """Bring back what was taken back last, and return it; None where there is nothing, or something was answered since."""
        if not self.undone:
            return None
        number, entry = self.undone[-1]
        answers.append(self.run, {"kind": answers.UNDO, "of": number})
        self.undone.pop()
        return entry
