# SPDX-License-Identifier: BSD-3-Clause
"""What a type checker makes of the public signatures: mypy reads it, nothing runs."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from skmdn import (
    MDNRegressor,
    MDNRegressorCV,
    MixtureDistribution,
    cross_val_predict_dist,
    metrics,
    predict_dist,
)
from skmdn.calibration import ConformalDistribution, ConformalMDNRegressor
from skmdn.datasets import make_heteroscedastic

Floats = NDArray[np.float64]


def use() -> None:
    """Never called: some of it would not run."""
    X, y = make_heteroscedastic(100, random_state=np.random.RandomState(0))

    dist = predict_dist(object(), [[0.0]])
    assert_type(dist, MixtureDistribution)
    assert_type(cross_val_predict_dist(object(), X, y, cv=3), MixtureDistribution)

    assert_type(metrics.crps_loss(y, dist, sample_weight=[1.0, 2.0]), float)
    assert_type(metrics.pit_values(y, dist), Floats)
    assert_type(metrics.density_report(y, dist), str)
    assert_type(metrics.density_report(y, dist, output_dict=True), dict[str, Any])
    scorer = metrics.make_pinball_scorer([0.1, 0.9])
    assert_type(scorer(object(), X, y), float)

    conformal = ConformalMDNRegressor(MDNRegressorCV(4, n_jobs=2))
    assert_type(conformal.predict_dist(X), ConformalDistribution)
    assert_type(MDNRegressorCV().predict_dist(X), MixtureDistribution)
    assert_type(MDNRegressorCV().sample(X, random_state=0), Floats)
    assert_type(MDNRegressorCV().score(X, y), float)
    assert_type(dist.marginal("price").affine(2.0).reduce(3), MixtureDistribution)
    assert_type(dist.sample(5, random_state=None), Floats)
    assert_type(dist.hdr(0.9), list[Floats])
    mdn = MDNRegressor(hidden_layer_sizes=(64, 64), input_noise="auto", callback=print)
    assert_type(mdn.logpdf(X, y), Floats)
    assert_type(dist[:10].mean(), Floats)
    assert_type(dist.interval(0.9), tuple[Floats, Floats])
    assert_type(dist.ppf([0.1, 0.9]), Floats)
    assert_type(len(dist) + dist.n_components, int)
