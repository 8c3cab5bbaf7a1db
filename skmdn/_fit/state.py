# SPDX-License-Identifier: BSD-3-Clause
"""The one check of a fitted state, wherever it came from.

Kernels read and write by offsets, without bounds. A state that was cut, edited or made
by somebody else must therefore be refused before the first of them. The check is quick
enough for every prediction, so nothing that happens to the arrays later can evade it.
"""

import sys

import numpy as np

from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.network import Network
from skmdn._families import FAMILIES
from skmdn._families.head import COVARIANCE_TYPES, Head, check_covariance_type
from skmdn._fit.inputs import InputEncoding
from skmdn._fit.targets import TargetScaling

# Of everything that a fitted estimator keeps for its predictions. To be raised with
# every change of what is kept, or of what it means.
FORMAT = 1

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_INT64 = np.dtype(np.int64)
_MODEL = {"params", "architecture", "input_encoding", "target_scaling", "min_scale"}
_CHOICES = {
    "family": FAMILIES,
    "covariance_type": COVARIANCE_TYPES,
    "activation": ACTIVATIONS,
}
_LAYERS = "hidden_layer_sizes"
_SIZES = {"n_components", "n_outputs", *Network._fields} - {"head", *_CHOICES}
_SIZES -= {_LAYERS}
_MOST_STEPS = 2**53
_ARCHITECTURE = {_LAYERS, *_SIZES, *_CHOICES}


def refuse(where, what):
    """Raise the error of a damaged state."""
    raise ValueError(
        f"The fitted state is damaged: {where} {what}. Load an intact copy or fit "
        f"again."
    )


def opened(state, names):
    """Check that a state is a dict of these names, and of today's format.

    Parameters
    ----------
    state : dict
    names : set of str
        Beside "format".
    """
    if not isinstance(state, dict) or "format" not in state:
        refuse("it", "is no dict with a format number")
    if state["format"] != FORMAT:
        raise ValueError(
            f"The fitted state has format {state['format']!r}, but this version of "
            f"skmdn reads format {FORMAT}: load it with the version that wrote it, or "
            f"fit again."
        )
    check_names(state, names | {"format"}, "it")
    return state


def check_names(state, names, where):
    """Check that a part of a state is a dict of these names."""
    if not isinstance(state, dict) or state.keys() != names:
        kind = sorted(map(str, state)) if isinstance(state, dict) else type(state)
        refuse(where, f"must be a dict of {sorted(names)}, got {kind}")


def check_array(values, where, shape, dtype=_FLOAT64):
    """Check that a part of a state is an array which kernels may read."""
    if not isinstance(values, np.ndarray):
        refuse(where, f"must be an array, got {type(values)}")
    if (
        values.dtype != dtype
        or values.shape != shape
        or not values.flags.c_contiguous
        or not values.flags.aligned
    ):
        refuse(
            where,
            f"must be a contiguous array of shape {shape} and type {dtype}, got shape "
            f"{values.shape}, type {values.dtype} and strides {values.strides}",
        )
    if dtype.kind == "f" and np.count_nonzero(np.isfinite(values)) < values.size:
        refuse(where, "must be finite")


def check_list(values, where, length=None):
    """Check that a part of a state is a list, of a given length or not empty."""
    if not isinstance(values, list) or len(values) != (length or max(1, len(values))):
        allowed = f"a list of {length or 'one or more'}"
        refuse(where, f"must be {allowed}, got {type(values)}")


def check_number(value, where, low, high=sys.float_info.max):
    """Check that a part of a state is a number between two others."""
    if type(value) not in (int, float) or not low <= value <= high:
        refuse(where, f"must be a number from {low} to {high}, got {value!r}")


def check_architecture(architecture, where):
    """Check names, types and signs of everything that the layout is made of."""
    check_names(architecture, _ARCHITECTURE, where)
    for name, choices in _CHOICES.items():
        value = architecture[name]
        if type(value) is not str or value not in choices:
            refuse(
                f"{where}[{name!r}]", f"must be one of {list(choices)}, got {value!r}"
            )
    try:
        check_covariance_type(architecture["covariance_type"], architecture["family"])
    except ValueError as error:
        refuse(where, f"has parts that do not go together: {error}")
    layers = architecture[_LAYERS]
    if not isinstance(layers, tuple):
        refuse(f"{where}[{_LAYERS!r}]", f"must be a tuple, got {layers!r}")
    for size in (*layers, *(architecture[name] for name in _SIZES)):
        if type(size) is not int or size < 1:
            refuse(where, f"must hold whole numbers of at least 1, got {size!r}")


def make_network(architecture):
    """Lay out a network; `architecture` is a dict of numbers and strings.

    Parameters
    ----------
    architecture : dict
        `family`, `n_components`, `covariance_type`, `n_outputs`, `n_features`,
        `n_inputs`, `hidden_layer_sizes`, `n_estimators`, `activation`.
    """
    sizes = dict(architecture)
    family = FAMILIES[sizes.pop("family")]
    names = ("n_components", "n_outputs", "covariance_type")
    head = Head.of(*(sizes.pop(name) for name in names))
    return Network(head=head, family=family, **sizes)


def check_model(state, where):
    """Check everything that `Model` holds, sizes against each other.

    Parameters
    ----------
    state : dict
        See `Model.state`.
    where : str
        Where the state lies, with a full stop behind; or nothing.
    """
    check_names(state, _MODEL, f"{where}it" if where else "it")
    architecture = state["architecture"]
    check_architecture(architecture, f"{where}architecture")
    n_features, n_outputs = architecture["n_features"], architecture["n_outputs"]
    network = make_network(architecture)
    try:
        n_params = network.layout.n_params
    except OverflowError:
        n_params = -1  # More than any memory holds.
    check_array(state["params"], f"{where}params", (n_params,), _FLOAT32)
    encoding = state["input_encoding"]
    check_names(encoding, set(InputEncoding._fields), f"{where}input_encoding")
    n_bins = architecture["n_inputs"] - n_features
    for name, values in encoding.items():
        check_array(
            values,
            f"{where}input_encoding[{name!r}]",
            (n_bins if name.startswith("bin_") else n_features,),
            _INT64 if name == "bin_feature" else _FLOAT64,
        )
    # Negative numbers are the largest without a sign.
    bin_feature = encoding["bin_feature"].view(np.uint64)
    if n_bins and np.maximum.reduce(bin_feature) >= n_features:
        refuse(
            f"{where}input_encoding['bin_feature']",
            f"must be at least 0 and less than n_features = {n_features}",
        )
    if np.count_nonzero(encoding["scale"] > 0) < n_features:
        refuse(f"{where}input_encoding['scale']", "must be positive")
    scaling = state["target_scaling"]
    check_names(scaling, set(TargetScaling._fields), f"{where}target_scaling")
    for name, values in scaling.items():
        check_array(values, f"{where}target_scaling[{name!r}]", (n_outputs,))
    if np.count_nonzero(scaling["scale"]) < n_outputs:
        refuse(f"{where}target_scaling['scale']", "must not be zero")
    bounds = state["min_scale"]
    n_scales = network.head.n_scales
    check_array(bounds, f"{where}min_scale", (n_scales,))
    if np.count_nonzero(bounds > 0) < n_scales:
        refuse(f"{where}min_scale", "must be positive")


def check_columns(X, n_features):
    """Check that inputs, which fit the estimator, fit its model too."""
    if X.shape[1] != n_features:
        refuse("n_features", f"is {n_features}, but n_features_in_ is {X.shape[1]}")


def check_progress(progress, params):
    """Check what later training goes on with, see `skmdn._fit.model.Progress`."""
    names = {"n_bins", "seed", "n_steps", "log_widening", "optimizer"}
    check_names(progress, names, "progress")
    for name in ("n_bins", "seed", "n_steps"):
        if name != "n_bins" or progress[name] is not None:
            _check_count(progress[name], f"progress[{name!r}]")
    check_number(progress["log_widening"], "progress['log_widening']", 0.0, 100.0)
    if progress["optimizer"] is not None:
        _check_optimizer(progress["optimizer"], params, progress["n_steps"])


def _check_count(value, where, most=_MOST_STEPS):
    if type(value) is not int or not 0 <= value <= most:
        refuse(where, f"must be a whole number from 0 to {most}, got {value!r}")


def _check_optimizer(optimizer, params, n_steps):
    """Check parameters, moments like them, and a count of steps."""
    check_names(optimizer, {"params", "m", "v", "t"}, "optimizer")
    for name in ("params", "m", "v"):
        check_array(optimizer[name], f"optimizer[{name!r}]", params.shape, params.dtype)
    if np.any(optimizer["v"] < 0):
        refuse("optimizer['v']", "must not be negative")
    _check_count(optimizer["t"], "optimizer['t']", n_steps)
