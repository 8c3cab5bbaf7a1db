# SPDX-License-Identifier: BSD-3-Clause
"""The code that numba.cuda emits for predictions, run with 256 threads a block."""

import numpy as np
import pytest
from cases import make_table

from skmdn import MDNRegressor
from skmdn._engine.cuda import answers
from skmdn._fit import tail

gpu = pytest.importorskip("test_emitted", reason="needs numba-cuda")


def test_emitted_code_answers_as_the_cpu():
    X, Y, _ = make_table(n=300, n_features=2)
    sizes = {"hidden_layer_sizes": (20, 9), "n_estimators": 2, "random_state": 0}
    mdn = MDNRegressor(3, max_iter=3, **sizes).fit(X, Y[:, 0])
    parts = mdn._mixture().parts()
    packed = answers._Packed(parts, (tail.WEIGHTS, tail.SCALES))
    device = gpu.Emitted(gpu.entry, gpu.TEAM)
    device.n_blocks = 2  # for three tiles
    found, dist, seed = answers.Answers(packed, 128, device), mdn.predict_dist(X), 5
    logpdf = dist.logpdf(Y[:, 0])
    np.testing.assert_allclose(found.logpdf(X, Y), logpdf, atol=1e-5)
    draws = dist._draw(3, np.uint64(seed))
    np.testing.assert_allclose(found.draws(X, 3, seed), draws, atol=1e-5)
