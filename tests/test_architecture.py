"""Who may import whom: the core stands alone, the adapters do not know each other, and starting up is cheap."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "crm_dedup_plugin"
CORE = {"schema", "records", "prompt", "metrics", "splits", "tokens"}
HELPERS = {"steward", "engine", "grammar"}  # may use other packages, but of this one only the core
ADAPTERS = {"training", "evaluation", "report", "base_model", "synth", "benchmark", "comparison", "hub"}
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.AST) -> set[str]:
    """Return the dotted names that a tree imports, with what it takes from this package."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own(names: set[str]) -> set[str]:
    """Return the modules of this package among `names`, by their first part: "schema", "training"."""
    return {name.split(".")[1] for name in names if name.startswith("crm_dedup_plugin.")} - {"__version__"}


def trees() -> list:
    return [pytest.param(name, ast.parse(path.read_text(encoding="utf-8")), id=name) for name, path in MODULES.items()]


def test_the_modules_are_found():
    assert CORE | {"cli", "prepare", "training.train", "evaluation.run", "report", "base_model", "steward.policy", "synth.generate"} <= set(MODULES)


@pytest.mark.parametrize(("name", "tree"), trees())
def test_imports_point_the_right_way(name, tree):
    names, part = imports(tree), name.split(".")[0]
    assert not {one for one in names if one.split(".")[0] in ("lm_eval_tasks", "scripts", "tests")}
    if name in CORE:
        assert own(names) <= CORE
        assert {one.split(".")[0] for one in names} - {"crm_dedup_plugin"} <= sys.stdlib_module_names
    elif part in HELPERS:
        assert own(names) <= CORE | HELPERS
    elif part in ADAPTERS:
        assert not own(names) & (ADAPTERS - {part} | {"cli"})
    elif name not in ("cli", "__main__"):
        generator = {"synth"} if name == "prepare" else set()  # its demo pairs, imported where they are asked for
        assert not own(names) & (ADAPTERS - generator | {"cli"})
        assert not own(set().union(*(imports(node) for node in tree.body if not isinstance(node, ast.FunctionDef)))) & ADAPTERS
        assert {one.split(".")[0] for one in names} - {"crm_dedup_plugin"} <= sys.stdlib_module_names


def test_the_command_line_imports_adapters_only_where_they_are_used():
    tree = ast.parse(MODULES["cli"].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = set().union(*(own(imports(node)) for node in functions))
    assert inside >= ADAPTERS
    for node in functions:
        tree.body = [part for part in tree.body if part is not node]
    assert not own(imports(tree)) & ADAPTERS
    assert {one.split(".")[0] for one in imports(tree)} - {"crm_dedup_plugin"} <= sys.stdlib_module_names
