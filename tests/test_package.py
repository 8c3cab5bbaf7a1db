# SPDX-License-Identifier: BSD-3-Clause
"""The package as a whole: what an import does, its metadata, its README."""

import configparser
import doctest
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import skmdn

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def requirements():
    """What the package needs, as setup.cfg says it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["options"]["install_requires"].split()


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


# --- import ---------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["skmdn", "skmdn.metrics", "skmdn.inspection"])
def test_import_compiles_nothing_and_leaves_alone_what_is_optional(module):
    code = f"""
import sys
from numba.core import event
recorder = event.RecordingListener()
event.register("numba:compile", recorder)
import {module}
print(len(recorder.buffer))
print(*{{name.partition(".")[0] for name in sys.modules}})
late = "numba.cuda", "sklearn.ensemble", "sklearn.cluster"
print(*(name for name in sys.modules if name.startswith(late)))
"""
    compiled, packages, late = run_python(code).splitlines()
    assert compiled == "0"
    assert not {"matplotlib", "torch", "numba_cuda"} & set(packages.split())
    assert not late


def test_the_check_of_compilation_can_fail():
    code = """
from numba.core import event
recorder = event.RecordingListener()
event.register("numba:compile", recorder)
import numba
numba.njit(lambda: 1)()
print(len(recorder.buffer) > 0)
"""
    assert run_python(code) == "True\n"


def test_show_versions_names_every_requirement(capsys):
    skmdn.show_versions()
    text = capsys.readouterr().out
    for requirement in requirements():
        name = re.match(r"[\w-]+", requirement)[0]
        assert re.search(rf"^ *{name}: \d", text, re.MULTILINE), name


# --- metadata -------------------------------------------------------------------------


@pytest.fixture
def installed():
    """The installed distribution, which may lie elsewhere than these files."""
    try:
        return distribution("skmdn")
    except PackageNotFoundError:
        return pytest.skip("runs on a folder of sources that is not installed")


def test_metadata(installed):
    data = installed.metadata
    assert data["Version"] == skmdn.__version__
    assert data["License-Expression"] == "BSD-3-Clause"
    assert data["Requires-Python"] == ">=3.11"
    assert set(data.get_all("Provides-Extra")) == {"plot", "test", "cu12", "cu13"}
    names = {line.partition(">")[0] for line in requirements()}
    required = {re.match(r"[\w-]+", line)[0] for line in installed.requires}
    assert names < required


def test_what_is_installed_is_what_is_tested(installed):
    # "python -m pytest" imports the package of this folder, not the installed one.
    if "editable" in (installed.read_text("direct_url.json") or ""):
        pytest.skip("installed as a link to this folder")
    files = {
        str(file): installed.locate_file(file).read_bytes()
        for file in installed.files
        if file.parts[0] == "skmdn" and file.suffix == ".py"
    }
    folder = Path(skmdn.__file__).parent
    here = {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for path in folder.rglob("*.py")
    }
    differ = {name for name in here | files if here.get(name) != files.get(name)}
    assert not differ, "remove the folder build and install again"


def test_requirements_have_no_caps():
    assert len(requirements()) == 5
    assert not [line for line in requirements() if re.search("<|==|~", line)]


def test_changelog_names_this_version():
    changelog = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(skmdn.__version__)} \(", changelog, re.MULTILINE)


# --- README ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "benchmarks/README.rst"],
)
def test_restructured_text_is_valid(name):
    # As strict as the package index, which knows neither "raw" nor "include".
    core = pytest.importorskip("docutils.core")
    core.publish_string(
        (ROOT / name).read_text(encoding="utf-8"),
        writer="html",
        settings_overrides={
            "raw_enabled": False,
            "file_insertion_enabled": False,
            "report_level": 2,
            "halt_level": 2,
        },
    )


def test_readme_opens_with_two_commands_of_one_line():
    commands = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    assert README.index(commands[1]) < 1500
    assert commands[0].endswith(".venv/bin/python -m skmdn")
    assert commands[1].endswith(".venv/bin/python -m pytest")
    assert all(".venv/bin/pip install" in command for command in commands)


def test_readme_examples_run():
    examples = doctest.DocTestParser().get_doctest(
        README, {}, "README", "README.rst", 0
    )
    assert len(examples.examples) >= 5
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert results.failed == 0


@pytest.mark.parametrize(
    "script",
    ["ablation", "bench_density", "bench_predict", "bench_simulators", "bench_train"],
)
def test_benchmarks_start(script):
    path = ROOT / "benchmarks" / f"{script}.py"
    command = [sys.executable, path, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: ")
