# SPDX-License-Identifier: BSD-3-Clause
"""No race in a fit, and no barrier that could be left out."""

import numpy as np
import pytest
from cases import make_table, new_job
from races import Plain, Watched
from trainings import train

from skmdn._engine.cpu.engine import Engine
from skmdn._engine.cuda.kernels import make
from skmdn._engine.cuda.layout import variant_of

# Two output groups a layer, two steps an epoch, a tile and a half.
SMALL = {
    "n_components": 2, "hidden_layer_sizes": (8, 5), "n_bins": 2, "batch_size": 26,
    "max_iter": 2,
}  # fmt: skip
IN_L2 = {"shared_gradients": False, "shared_weights": False}
CASES = {
    "shared memory": ({}, {}),
    "gradients in L2": ({}, {"shared_gradients": False}),
    "weights in L2": ({}, IN_L2),
    "two outputs": ({"n_outputs": 2, "covariance_type": "spherical"}, {}),
    "members": ({"n_estimators": 2}, {}),
    "members in L2": ({"n_estimators": 2}, IN_L2),
    "no hidden layer": ({"hidden_layer_sizes": ()}, {}),
}


def run(case, *, team, rows=16, dropped=None, poisoned=False):
    """Train in plain Python; the device that watched, the result and the CPU's."""
    parameters, tiling = CASES[case]
    parameters = SMALL | parameters
    n_outputs = parameters.pop("n_outputs", 1)

    def job():
        table = make_table(n=56, n_features=2, n_outputs=n_outputs)
        job = new_job(table, n_held=20, **parameters)
        if poisoned:
            job.training.Y[3] = np.nan
        return job

    device = Watched(lambda variant: make(variant, Plain), team, dropped)
    variant = variant_of(job(), device)._replace(rows=rows, **tiling)
    (result,) = train([job()], device, variant)
    return device, result, job


# Fewer threads than rows of a tile, or a multiple: they share the work differently.
@pytest.mark.parametrize(("team", "rows"), [(3, 16), (5, 16), (8, 4)])
@pytest.mark.parametrize("case", CASES)
def test_no_race(case, team, rows):
    device, result, job = run(case, team=team, rows=rows)
    assert device.races == []
    (trial,) = Engine(1).run([job()])
    np.testing.assert_allclose(result.losses, trial.losses, rtol=1e-5)
    np.testing.assert_allclose(result.scores, trial.scores, rtol=1e-5)


def test_every_barrier_is_missed():
    """Each is needed somewhere, and the detector sees what comes of leaving it out."""
    places, missed = set(), set()
    for case, poisoned in (("shared memory", False), ("members in L2", True)):
        whole, _, _ = run(case, team=3, poisoned=poisoned)
        places |= whole.sites
        for place in sorted(whole.sites - missed):
            device, _, _ = run(case, team=3, dropped=place, poisoned=poisoned)
            if device.races:
                missed.add(place)
    assert len(places) > 10
    assert missed == places
