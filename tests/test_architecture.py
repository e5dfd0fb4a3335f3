"""The package is what docs/architecture.md says: who may import whom, what is cheap to import, and how large it is."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "crm_dedup_plugin"
# Each layer imports only from the layers before it.
LAYERS = (
    *("errors", "storage", "provenance", "process"),
    *("pair", "policy", "dataset", "training", "inference", "evaluation", "matching", "learning", "benchmark", "reporting", "review", "hub", "cli"),
)
REEXPORTS = {"metrics": "evaluation", "prompt": "pair", "schema": "pair"}  # paths that configurations and published cards use
LINES = 21_475  # of the whole package: lower it whenever the package shrinks
HEAVY = {"torch", "transformers", "vllm", "axolotl", "matplotlib", "lm_eval", "peft", "datasets"}
# Only Axolotl, lm-eval, vLLM, a training, a loaded model or a drawing imports these: there the heavy packages are loaded already.
INSIDE_OTHERS = {
    *(f"training.{name}" for name in ("plugin", "args", "formatter", "flex_attention", "shared_prefix", "merge")),
    *("inference.grammar", "inference.packed", "evaluation.task", "reporting.figures", "reporting.speed_figures"),
}
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


def parse(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def own(names: set[str]) -> set[str]:
    """Return the modules of this package among `names`: "pair.prompt", "errors"."""
    found = set()
    for name in names:
        parts = name.split(".")[1:] if name.startswith("crm_dedup_plugin.") else []
        known = [
            ".".join(parts[:end]) for end in range(len(parts), 0, -1) if {".".join(parts[:end]), ".".join([*parts[:end], "__init__"])} & set(MODULES)
        ]
        found.update(known[:1])
    return found


def layer(name: str) -> int:
    first = name.split(".")[0]
    return LAYERS.index(REEXPORTS.get(first, first))


def outside_functions(tree: ast.Module) -> set[str]:
    """Return what is imported when the module is; blocks for type checkers do not count."""
    names, stack = set(), list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            continue
        names |= imports(node) if isinstance(node, (ast.Import, ast.ImportFrom)) else set()
        stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return names


def test_every_part_of_the_package_has_its_place():
    assert {name.split(".")[0] for name in MODULES} - {"__init__", "__main__"} <= {*LAYERS, *REEXPORTS}


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"__init__", "__main__"}))
def test_imports_point_in_the_direction_of_the_layers(name):
    names = imports(parse(name))
    assert not {one for one in names if one.split(".")[0] in ("lm_eval_tasks", "scripts", "tests")}
    assert [one for one in own(names) if layer(one) > layer(name)] == []
    top = {one.split(".")[0] for one in names} - {"crm_dedup_plugin"}
    if name.split(".")[0] == "pair":
        assert top <= set(sys.stdlib_module_names)
    if name not in INSIDE_OTHERS:
        assert {one.split(".")[0] for one in outside_functions(parse(name))} & HEAVY == set()


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: own(imports(parse(name))) - {name} for name in MODULES if name not in REEXPORTS}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_command_line_starts_without_heavy_packages():
    program = f"import sys, crm_dedup_plugin.cli; print(*{HEAVY!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_files_fit_in_a_head():
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > 250} == {}
    assert sum(lines.values()) < LINES
    assert len([name for name in MODULES if name.startswith("benchmark.") and not name.endswith("__init__")]) <= 9
    assert sum(name.endswith(".run") for name in MODULES) <= 1


def test_the_tree_in_the_architecture_is_the_tree():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"at most {LINES:,}" in " ".join(text.split()), "the document names the limit"
    block = next(found for found in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL) if found.startswith("crm_dedup_plugin/"))
    drawn, folders = set(), []
    for line in block.splitlines()[1:]:
        entry = re.match(r"((?:[│├└─ ] ?)*)(\S+)", line)
        depth = len(entry[1]) // 4 if "─" in line or "│" in line else len(entry[1]) // 2
        path = entry[2].rstrip("/")
        folders[max(depth - 1, 0) :] = [path]
        drawn.add("/".join(folders))
    tracked = subprocess.run(["git", "ls-files", "crm_dedup_plugin"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    files = [Path(name).relative_to("crm_dedup_plugin") for name in tracked]
    modules = {file.as_posix() for file in files if file.suffix == ".py" and not file.name.startswith("__")}
    there = modules | {file.parent.as_posix() for file in files} - {"."}
    assert drawn == there
