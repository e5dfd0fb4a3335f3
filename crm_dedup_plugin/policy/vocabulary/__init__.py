"""The words that the policy knows, as YAML files for people to read and edit. Every entry is text, even 163, no and 1900-01-01.

>>> load("suffixes", {str: [str]})["jr"]
('jr', 'junior')
"""

import re
from pathlib import Path

import yaml

from crm_dedup_plugin.errors import UserError

FOLDER = Path(__file__).parent
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_CURES = {
    yaml.ScalarNode: ("a text", "write one word or sentence, in quotes if it contains a colon or brackets"),
    yaml.SequenceNode: ("a list", "write [one, two], or one entry a line behind a dash"),
    yaml.MappingNode: ("a table", "write one `key: value` a line"),
}


def load(name: str, shape, folder: Path = FOLDER):
    """Return the vocabulary `name`: tables as dicts, lists as tuples, in the order of the file.

    `shape` says what is allowed: `str`, `re.Pattern` for a regular expression, `[shape]` for a list, `{str: shape}` for a table
    with any keys, `{"a": shape, "b?": shape}` for one with these keys, of which "b" may be left out.
    Raises UserError, which names the file, the line and the cure.
    """
    path = folder / f"{name}.yml"
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UserError(f"{path}, line {mark.line + 1 if mark else 1}: not YAML: {getattr(error, 'problem', error)}") from None
    return _value(node, shape, path)


def _value(node: yaml.Node | None, shape, path: Path):
    kind = yaml.ScalarNode if shape in (str, re.Pattern) else yaml.SequenceNode if isinstance(shape, list) else yaml.MappingNode
    if type(node) is not kind:
        raise _error(path, node, f"expected {_CURES[kind][0]}: {_CURES[kind][1]}")
    if kind is yaml.ScalarNode:
        if not node.value.strip():
            raise _error(path, node, "an entry is empty: write a text or delete the entry")
        return node.value if shape is str else _pattern(node, path)
    if kind is yaml.SequenceNode:
        return tuple(_value(entry, shape[0], path) for entry in node.value)
    return _table(node, shape, path)


def _pattern(node: yaml.ScalarNode, path: Path) -> re.Pattern:
    try:
        return re.compile(node.value)
    except re.error as error:
        raise _error(path, node, f"{node.value!r} is no regular expression ({error}): correct it") from None


def _table(node: yaml.MappingNode, shape: dict, path: Path) -> dict:
    known = None if str in shape else {key.rstrip("?"): inner for key, inner in shape.items()}
    found = {}
    for key_node, value in node.value:
        key = _value(key_node, str, path)
        if key in found:
            raise _error(path, key_node, f"{key!r} stands there twice: merge the two entries")
        if known is not None and key not in known:
            raise _error(path, key_node, f"unknown key {key!r}: use one of {', '.join(known)}")
        found[key] = _value(value, shape[str] if known is None else known[key], path)
    if missing := [key for key in shape if key is not str and not key.endswith("?") and key not in found]:
        raise _error(path, node, f"the key {missing[0]!r} is missing: add it")
    return found


def _error(path: Path, node: yaml.Node | None, text: str) -> UserError:
    return UserError(f"{path}, line {node.start_mark.line + 1 if node else 1}: {text}")
