# SPDX-License-Identifier: BSD-3-Clause
"""What compilers make of the kernels of predictions and of large steps."""

import numpy as np
import pytest
from cases import new_job

from skmdn import MDNRegressor
from skmdn._engine.cuda import answers, layout
from skmdn._engine.cuda.group import Group
from skmdn._engine.training import Course
from skmdn._fit import tail

ptx = pytest.importorskip("test_ptx", reason="needs numba-cuda")
adapter = pytest.importorskip("skmdn._engine.cuda.adapter")

QUESTIONS = {
    "logpdf": lambda found, X: found.logpdf(X, X),
    "cdf": lambda found, X: found.cdf(X, X[:, 0]),
    "moments": lambda found, X: found.moments(X),
    "quantiles": lambda found, X: found.quantiles(X, [0.2, 0.9]),
    "draws": lambda found, X: found.draws(X, 2, np.uint64(1)),
}
# Every question, tile, family and activation.
CASES = [
    ("logpdf", 128, "gaussian", "silu"),
    ("logpdf", 32, "logistic", "tanh"),
    ("cdf", 128, "laplace", "identity"),
    ("moments", 128, "logistic", "relu"),
    ("quantiles", 64, "laplace", "gelu"),
    ("draws", 128, "gaussian", "silu"),
]


def check(device, folder, least_share):
    found = ptx.reports(*device.launches[0], folder)
    for report in found:
        assert report.faults == {}
        assert report.ffma_share >= least_share
    return found


@pytest.mark.parametrize(("question", "rows", "family", "activation"), CASES)
def test_predictions(question, rows, family, activation, tmp_path):
    X = np.random.RandomState(0).normal(size=(50, 1))
    mdn = MDNRegressor(3, hidden_layer_sizes=(8,), max_iter=1).fit(X, X[:, 0])
    sizes = mdn._state["model"]["architecture"]
    sizes |= {"family": family, "activation": activation}
    parts = mdn._mixture().parts()
    packed = answers._Packed(parts, (tail.WEIGHTS, tail.SCALES))
    device = ptx.Recorder()
    QUESTIONS[question](answers.Answers(packed, rows, device), X)
    for report in check(device, tmp_path, least_share=0.80):
        assert report.registers <= ptx.MOST_REGISTERS


@pytest.mark.parametrize("sizes", [(64, 64), (128, 128), (256, 256)])
def test_large_steps(sizes, monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "LARGE_BATCH", 1)
    monkeypatch.setattr(adapter, "RESIDENT", adapter.RESIDENT_TOGETHER)
    job = new_job(n_components=8, hidden_layer_sizes=sizes)
    device = ptx.Recorder()
    variant = layout.variant_of(job, device)
    Group([job], [Course(job)], variant, device).run(2)
    check(device, tmp_path, least_share=0.70)
