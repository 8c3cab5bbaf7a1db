# SPDX-License-Identifier: BSD-3-Clause
"""Public objects are documented: every argument, what comes back, an example.

The examples themselves run as doctests of the modules.
"""

import importlib
import inspect
import pkgutil
import re

import pytest

import skmdn


def public_modules():
    for module in pkgutil.iter_modules(skmdn.__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"skmdn.{module.name}")


def public_objects():
    """Name -> class or function, of every public module."""
    found = {f"skmdn.{name}": getattr(skmdn, name) for name in skmdn.__all__}
    for module in public_modules():
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and getattr(value, "__module__", None) == module.__name__
        ]
        found |= {f"{module.__name__}.{name}": getattr(module, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def public_methods():
    """Name -> function, of every public class; generated methods have none of ours."""
    found = {}
    for name, owner in public_objects().items():
        for attribute in dir(owner) if inspect.isclass(owner) else ():
            method = inspect.unwrap(getattr(owner, attribute))
            ours = (getattr(method, "__module__", None) or "").startswith("skmdn")
            if not attribute.startswith("_") and inspect.isroutine(method) and ours:
                found[f"{name}.{attribute}"] = method
    return found


def section(documented, title):
    """Lines of one numpydoc section."""
    doc = inspect.getdoc(documented) or ""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n--+$|\Z)", doc, re.M | re.S)
    return match[1].splitlines() if match else []


def parameters(documented):
    """Names in the section Parameters."""
    for line in section(documented, "Parameters"):
        if line and not line.startswith(" "):
            yield from (
                name.strip(" *") for name in line.partition(" : ")[0].split(",")
            )


def arguments(documented):
    return [
        name
        for name in inspect.signature(documented).parameters
        if name not in ("self", "cls")
    ]


OBJECTS, METHODS = public_objects(), public_methods()


@pytest.mark.parametrize("name", OBJECTS)
def test_public_objects_are_documented_with_an_example(name):
    documented = OBJECTS[name]
    assert list(parameters(documented)) == arguments(documented)
    assert any(line.startswith(">>> ") for line in section(documented, "Examples"))
    if inspect.isfunction(documented) and documented is not skmdn.show_versions:
        assert section(documented, "Returns")


@pytest.mark.parametrize("name", METHODS)
def test_public_methods_are_documented(name):
    documented = METHODS[name]
    assert list(parameters(documented)) == arguments(documented)
    assert section(documented, "Returns")


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_public_signatures_have_types(name):
    documented = (OBJECTS | METHODS)[name]
    signature = inspect.signature(documented)
    for parameter in signature.parameters.values():
        if parameter.name not in ("self", "cls"):
            assert parameter.annotation is not parameter.empty, parameter
    if name in METHODS or inspect.isfunction(documented):
        assert signature.return_annotation is not signature.empty
