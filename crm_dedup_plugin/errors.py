"""Errors for people, and the commands that they advise."""

import shlex
from pathlib import Path

CONFIGS = Path("axolotl_configs")


class UserError(Exception):
    """Something that the user can put right: the message names the bad value and the cure."""

    code = 1  # with which a command ends


def advise(stage: str, name: str) -> str:
    """Return the command that runs a stage ("train", "kpi", "bench", "push") for a model: through make if NAME is a configuration.

    >>> advise("kpi", "no-such-configuration")
    '`crm-dedup kpi no-such-configuration`'
    >>> advise("train", "no-such-configuration")
    '`crm-dedup train MODEL --name no-such-configuration`'
    """
    if (CONFIGS / f"{name}.yml").is_file():
        return f"`make {stage}-{shlex.quote(name)}`"
    words = f"train MODEL --name {shlex.quote(name)}" if stage == "train" else f"{stage} {shlex.quote(name)}"
    return f"`crm-dedup {words}`"
