# SPDX-License-Identifier: BSD-3-Clause
"""The shape of the code, proved from its syntax trees."""

import ast
import re
from pathlib import Path

import pytest

import skmdn

PACKAGE = Path(skmdn.__file__).parent
TESTS = Path(__file__).parent
# Where the tree of the package is quoted; the order of its lines is that of the layers.
QUOTED = ("CONTRIBUTING.rst", "README.rst", "docs/DESIGN.rst")


def quoted_tree(document):
    """The lines of the tree in a document, from the top layer to the bottom."""
    text = TESTS.parent.joinpath(document).read_text(encoding="utf-8")
    return re.search(r"(?m)^    skmdn/\n((?:      .*\n)+)", text).group(1).splitlines()


# A module imports only from the lines below its own, or from its own folder.
LAYERS = [
    [name.rstrip("/") for name in re.split(r"\s{2,}", line.strip())[0].split()]
    for line in quoted_tree(QUOTED[0])
]
LEVEL = {name: -depth for depth, line in enumerate(LAYERS) for name in line}

MODULES = sorted(PACKAGE.rglob("*.py"))
FILES = sorted(
    {*MODULES, *TESTS.rglob("*.py"), *(TESTS.parent / "benchmarks").glob("*.py")}
)


def dotted(path):
    """('skmdn', '_jit', 'policy') for skmdn/_jit/policy.py."""
    return ("skmdn", *path.relative_to(PACKAGE).with_suffix("").parts)


def layer(parts):
    """Which name of the table a dotted name belongs to."""
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "__init__"


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Every imported dotted name: modules, and modules with each name taken from them.

    Imports inside functions count.
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses(path, *names):
    """Which of the given dotted names or their parts a file imports."""
    return [
        found
        for found in imports(path)
        if any(f"{found}.".startswith(f"{name}.") for name in names)
    ]


def ids(paths):
    return [path.name if path.parent == PACKAGE else "/".join(path.parts[-2:])
            for path in paths]  # fmt: skip


each_module = pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
each_file = pytest.mark.parametrize("path", FILES, ids=ids(FILES))


def wrong_imports(path):
    own = layer(dotted(path))
    for found in uses(path, "skmdn"):
        target = layer(tuple(found.split(".")))
        if target != own and LEVEL[target] >= LEVEL[own]:
            yield f"{'.'.join(dotted(path))} ({own}) imports {found} ({target})"


def test_every_module_has_a_layer():
    # A folder without __init__.py, or with data alone, is no module.
    names = {dotted(path)[1] for path in MODULES}
    assert names == set(LEVEL)


@pytest.mark.parametrize("document", QUOTED)
def test_documents_quote_the_same_tree(document):
    assert quoted_tree(document) == quoted_tree(QUOTED[0])


@each_module
def test_imports_point_downwards(path):
    assert list(wrong_imports(path)) == []


def test_the_check_of_layers_can_fail(tmp_path, monkeypatch):
    monkeypatch.setattr("test_layers.PACKAGE", tmp_path)
    module = tmp_path / "_typing.py"
    module.write_text("import numpy\ndef f():\n    from skmdn import MDNRegressor\n")
    assert list(wrong_imports(module)) == [
        "skmdn._typing (_typing) imports skmdn.MDNRegressor (__init__)"
    ]


@each_file
def test_imports_are_absolute(path):
    levels = [n.level for n in ast.walk(tree(path)) if isinstance(n, ast.ImportFrom)]
    assert not any(levels)


@each_module
def test_private_names_of_scikit_learn_stay_in_one_module(path):
    if path.name == "_sklearn.py":
        return
    private = [
        found
        for found in uses(path, "sklearn")
        if any(part.startswith("_") for part in found.split("."))
        # Not in every supported version.
        or found.startswith("sklearn.callback")
    ]
    assert private == []


def test_one_module_at_most_knows_cuda():
    adapters = [path for path in MODULES if uses(path, "numba.cuda", "numba_cuda")]
    assert len(adapters) <= 1
    assert all(path.parent == PACKAGE / "_engine" / "cuda" for path in adapters)


def test_matplotlib_is_imported_when_drawing():
    for path in MODULES:
        if dotted(path)[1] == "_demo":
            continue  # It draws, and is imported by nothing but __main__.
        top = [n for n in tree(path).body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = [getattr(node, "module", None) or node.names[0].name for node in top]
        assert not [name for name in names if name.startswith("matplotlib")], path


def test_kernels_are_never_parallel():
    # Numba's threading layers abort under fork, or in several threads.
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword | ast.Constant):
                name = node.arg if isinstance(node, ast.keyword) else node.value
                assert name != "parallel", f"{path}, line {node.lineno}"
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                assert name != "prange", f"{path}, line {node.lineno}"


def test_only_programs_print():
    speaking = {"__main__", "_demo", "_versions"}
    for path in MODULES:
        calls = [n.func for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
        if any(isinstance(func, ast.Name) and func.id == "print" for func in calls):
            assert dotted(path)[1] in speaking, path


def test_the_oracle_knows_nothing_of_the_package():
    assert not uses(TESTS / "naive.py", "skmdn")


@each_file
def test_files_are_short_and_licensed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500
    assert lines[0] == "# SPDX-License-Identifier: BSD-3-Clause"
