# SPDX-License-Identifier: BSD-3-Clause
"""The fitted state: what is damaged is refused before a kernel reads it."""

import copy
import pickle

import numpy as np
import pytest

from skmdn import MDNRegressor, MDNRegressorCV

QUICK = {
    "n_components": 2,
    "hidden_layer_sizes": (8, 4),
    "max_iter": 2,
    "random_state": 0,
}
rng = np.random.RandomState(0)
X = rng.normal(size=(60, 3))
Y = X[:, :2] + rng.normal(size=(60, 2))


@pytest.fixture(scope="module")
def network():
    return MDNRegressor(n_estimators=2, **QUICK).partial_fit(X, Y)


@pytest.fixture(scope="module")
def ensemble():
    return MDNRegressorCV(cv=2, n_estimators=1, **QUICK).fit(X, Y)


def _change(part, name, function):
    part[name] = function(part[name])


def _put(part, name, index, value):
    part[name] = part[name].copy()
    part[name].flat[index] = value


# Each damages the state of one network. Before there was a check, the first nine ended
# in segmentation faults, in memory errors or in predictions made from foreign memory.
TAMPERINGS = {
    "bin_feature beyond the inputs": lambda s: _change(
        s["input_encoding"], "bin_feature", lambda a: a + 10**7
    ),
    "bin_feature before the inputs": lambda s: _put(
        s["input_encoding"], "bin_feature", 5, -(2**40)
    ),
    "bin_feature of one input too many": lambda s: _put(
        s["input_encoding"], "bin_feature", -1, 3
    ),
    "bins tiled": lambda s: s.update(
        input_encoding={
            name: np.tile(a, 500 if name.startswith("bin_") else 1)
            for name, a in s["input_encoding"].items()
        }
    ),
    "huge layers": lambda s: s["architecture"].update(hidden_layer_sizes=(4000, 4000)),
    "layers whose product overflows": lambda s: s["architecture"].update(
        hidden_layer_sizes=(2**32, 2**32)
    ),
    "layers beyond any integer": lambda s: s["architecture"].update(
        hidden_layer_sizes=(10**30,)
    ),
    "another number of outputs": lambda s: s["architecture"].update(n_outputs=7),
    "another number of members": lambda s: s["architecture"].update(n_estimators=5),
    "negative layer": lambda s: s["architecture"].update(hidden_layer_sizes=(-8, 4)),
    "no components": lambda s: s["architecture"].update(n_components=0),
    "sizes that are no whole numbers": lambda s: s["architecture"].update(
        n_components=2.0
    ),
    "layers that are a string": lambda s: s["architecture"].update(
        hidden_layer_sizes="84"
    ),
    "another number of features": lambda s: s["architecture"].update(n_features=2),
    "another number of inputs": lambda s: s["architecture"].update(n_inputs=3),
    "unknown activation": lambda s: s["architecture"].update(activation="sine"),
    "activation that is no string": lambda s: s["architecture"].update(activation=[]),
    "unknown covariance": lambda s: s["architecture"].update(covariance_type="band"),
    "an architecture with more": lambda s: s["architecture"].update(depth=3),
    "an architecture with less": lambda s: s["architecture"].pop("n_outputs"),
    "params cut": lambda s: _change(s, "params", lambda a: a[:-16].copy()),
    "params empty": lambda s: _change(s, "params", lambda a: a[:0]),
    "params of float64": lambda s: _change(s, "params", lambda a: a.astype(float)),
    "params of two dimensions": lambda s: _change(s, "params", lambda a: a[None]),
    "params that are a list": lambda s: _change(s, "params", lambda a: a.tolist()),
    "nan in params": lambda s: _put(s, "params", 3, np.nan),
    "inf in params": lambda s: _put(s, "params", -1, np.inf),
    "center cut": lambda s: _change(
        s["input_encoding"], "center", lambda a: a[:1].copy()
    ),
    "scale of zero": lambda s: _put(s["input_encoding"], "scale", 0, 0.0),
    "nan in slopes": lambda s: _put(s["input_encoding"], "bin_slope", 0, np.nan),
    "bin_feature of int32": lambda s: _change(
        s["input_encoding"], "bin_feature", lambda a: a.astype(np.int32)
    ),
    "bin_feature of objects": lambda s: _change(
        s["input_encoding"], "bin_feature", lambda a: a.astype(object)
    ),
    "a bin without a bound": lambda s: _change(
        s["input_encoding"], "bin_high", lambda a: a[:-1].copy()
    ),
    "target center cut": lambda s: _change(
        s["target_scaling"], "center", lambda a: a[:1].copy()
    ),
    "target scale of zero": lambda s: _put(s["target_scaling"], "scale", 1, 0.0),
    "target scale of nan": lambda s: _put(s["target_scaling"], "scale", 1, np.nan),
    "negative min_scale": lambda s: _put(s, "min_scale", 0, -1.0),
    "min_scale cut": lambda s: _change(s, "min_scale", lambda a: a[:1].copy()),
    "no view": lambda s: s.pop("input_encoding"),
    "a view that is a list": lambda s: s.update(input_encoding=[]),
    "a view without bins": lambda s: s["input_encoding"].pop("bin_low"),
}
each_tampering = pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS)


def _refuses(estimator):
    uses = [estimator.predict, estimator.predict_dist, estimator.sample]
    uses.append(lambda X: estimator.score(X, Y[:5]))
    for use in uses:
        with pytest.raises(ValueError, match="fitted state is damaged"):
            use(X[:5])


@each_tampering
def test_a_tampered_network_is_refused(network, tamper):
    damaged = copy.deepcopy(network)
    tamper(damaged._state["model"])
    _refuses(damaged)
    _refuses(pickle.loads(pickle.dumps(damaged)))
    for use in (
        lambda: damaged.coefs_,
        lambda: damaged.intercepts_,
        lambda: damaged.partial_fit(X, Y),
        lambda: damaged.set_params(warm_start=True).fit(X, Y),
    ):
        with pytest.raises(ValueError, match="fitted state is damaged"):
            use()


def test_params_that_are_not_contiguous_are_refused(network):
    damaged = copy.deepcopy(network)
    _change(damaged._state["model"], "params", lambda a: a.repeat(2)[::2])
    _refuses(damaged)


@each_tampering
def test_a_tampered_fold_is_refused(ensemble, tamper):
    damaged = copy.deepcopy(ensemble)
    tamper(damaged._state["folds"][1]["models"][0])
    with pytest.raises(ValueError, match=r"damaged: folds\[1\]\['models'\]\[0\]\."):
        damaged.predict(X[:5])


@pytest.mark.parametrize("name", ["params cut", "huge layers", "target scale of zero"])
def test_a_tampered_expert_is_refused(ensemble, name):
    damaged = copy.deepcopy(ensemble)
    TAMPERINGS[name](damaged._state["experts"][0])
    with pytest.raises(ValueError, match=r"damaged: experts\[0\]\."):
        damaged.predict(X[:5])


@pytest.mark.parametrize(
    "change",
    [
        {"folds": []},
        {"folds": {}},
        {"experts": []},
        {"temperature": np.inf},
        {"temperature": "1"},
        {"temperature": -1.0},
        {"linear_weight": float("nan")},
        {"more": 1},
    ],
    ids=str,
)
def test_a_tampered_calibration_is_refused(ensemble, change):
    damaged = copy.deepcopy(ensemble)
    damaged._state.update(change)
    _refuses(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [1.0, 1.0]},
        {"weights": [np.nan]},
        {"weights": [-1.0]},
        {"weights": None},
        {"models": None},
        {"models": [], "weights": []},
    ],
    ids=str,
)
def test_a_tampered_blend_is_refused(ensemble, change):
    damaged = copy.deepcopy(ensemble)
    damaged._state["folds"][0].update(change)
    _refuses(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {"m": np.zeros(4, np.float32)},
        {"v": np.zeros(10**4, np.float32)},
        {"v": None},
        {"t": -1},
        {"t": 1.5},
        {"t": 2**80},
    ],
    ids=str,
)
def test_a_tampered_optimizer_is_refused(network, change):
    damaged = copy.deepcopy(network)
    damaged._state["progress"]["optimizer"].update(change)
    with pytest.raises(ValueError, match="damaged: optimizer"):
        damaged.partial_fit(X, Y)
    for name, value in (("m", np.nan), ("v", -1.0)):
        damaged = copy.deepcopy(network)
        damaged._state["progress"]["optimizer"][name][3] = value
        with pytest.raises(ValueError, match=rf"damaged: optimizer\['{name}'\]"):
            damaged.partial_fit(X, Y)


@pytest.mark.parametrize("state", [None, [], {}, "state"])
def test_what_is_no_state_is_refused(network, ensemble, state):
    for estimator in (network, ensemble):
        damaged = copy.deepcopy(estimator)
        damaged._state = state
        _refuses(damaged)


def test_another_format_is_refused_by_name(network, ensemble):
    for estimator in (network, ensemble):
        foreign = copy.deepcopy(estimator)
        foreign._state["format"] = 99
        foreign._state["news"] = 1
        with pytest.raises(ValueError, match=r"has format 99, but .* reads format 1"):
            foreign.predict(X)


def test_inputs_of_another_number_of_columns_are_refused(network):
    damaged = copy.deepcopy(network)
    damaged.n_features_in_ = 1
    with pytest.raises(ValueError, match="n_features is 3, but n_features_in_ is 1"):
        damaged.predict(X[:, :1])


def test_skops_files_come_back_and_tampered_ones_are_refused(network, ensemble):
    skops = pytest.importorskip("skops.io")
    for estimator in (network, ensemble):
        file = skops.dumps(estimator)
        trusted = skops.get_untrusted_types(data=file)
        assert all(name.startswith("skmdn.") for name in trusted)
        loaded = skops.loads(file, trusted=trusted)
        np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    for name in ("bins tiled", "huge layers", "params cut"):
        damaged = copy.deepcopy(network)
        TAMPERINGS[name](damaged._state["model"])
        _refuses(skops.loads(skops.dumps(damaged), trusted=trusted + _types(damaged)))


def _types(estimator):
    return [f"{type(estimator).__module__}.{type(estimator).__qualname__}"]


def test_callback_copies_are_checked():
    def spoil(epoch, losses, estimator_copy):
        fitted = estimator_copy()
        fitted.predict(X)
        fitted._state["model"]["architecture"] |= {"hidden_layer_sizes": (9, 9)}
        _refuses(fitted)

    MDNRegressor(n_estimators=2, callback=spoil, **QUICK).fit(X, Y)
