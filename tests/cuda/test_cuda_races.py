# SPDX-License-Identifier: BSD-3-Clause
"""No race in predictions, nor between blocks that train one network."""

import numpy as np
import pytest
from cases import make_table, new_job
from races import Plain, Watched, _Array, _Block
from trainings import train

from skmdn import MDNRegressor
from skmdn._engine.cpu.engine import Engine
from skmdn._engine.cuda import answers, large, layout
from skmdn._engine.cuda.kernels import make
from skmdn._fit import tail


def make_plain(variant):
    return make(variant, Plain)


def watched_answers(team, dropped=None):
    """What `ask` needs: a device that watches, and rows: two tiles and a bit."""
    X, Y, _ = make_table(n=36, n_features=2)
    sizes = {"hidden_layer_sizes": (8, 5), "n_bins": 2, "n_estimators": 2}
    mdn = MDNRegressor(2, max_iter=1, random_state=0, **sizes).fit(X, Y[:, 0])
    parts = mdn._mixture().parts()
    packed = answers._Packed(parts, (tail.WEIGHTS, tail.SCALES))
    device = Watched(make_plain, team, dropped)
    device.n_blocks = 2
    return answers.Answers(packed, 16, device), device, X, Y


QUESTIONS = {
    "logpdf": lambda found, X, Y: found.logpdf(X, Y),
    "cdf": lambda found, X, Y: found.cdf(X, Y[:, 0]),
    "moments": lambda found, X, Y: found.moments(X),
    "quantiles": lambda found, X, Y: found.quantiles(X, [0.2, 0.9]),
    "draws": lambda found, X, Y: found.draws(X, 2, np.uint64(1)),
}


@pytest.mark.parametrize("team", [3, 32])
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_race_in_predictions(question, team):
    found, device, X, Y = watched_answers(team)
    QUESTIONS[question](found, X, Y)
    assert device.races == []


def test_every_barrier_of_predictions_is_missed():
    # Each of three threads has other rows of other levels.
    ask = QUESTIONS["quantiles"]
    found, whole, X, Y = watched_answers(3)
    ask(found, X, Y)
    assert len(whole.sites) == 5
    for place in whole.sites:
        found, device, X, Y = watched_answers(3, place)
        ask(found, X, Y)
        assert device.races, place


def arrive(meeting):
    """Be counted where one waits."""
    return 0


def has_arrived(meeting, n):
    """Wait for the others."""
    meeting.wait()
    return True


class Meeting(Plain):
    """Target of kernels whose blocks are the threads of a `_Block`."""

    primitives = {  # noqa: RUF012 (a constant)
        "arrive": arrive,
        "has_arrived": has_arrived,
    }


def make_meeting(variant):
    return make(variant, Meeting)


class Together(Watched):
    """Blocks of one thread, all at the same time."""

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        body = self._make(variant)[name]
        meeting = _Block(n_blocks, self._dropped)
        watched = type(tables)(*map(_Array, tables._fields, tables))
        watched = watched._replace(meeting=meeting)
        shared = [
            _Array(f"shared {i}", np.full(shared_bytes // 4, np.nan, np.float32))
            for i in range(n_blocks)
        ]
        meeting.run(lambda i: body(0, 1, None, i, n_blocks, shared[i], watched, n))
        self.races += meeting.races
        self.errors += meeting.errors
        self.sites |= set(meeting.sites[1:])
        if meeting.errors and self._dropped is None:
            raise AssertionError(meeting.errors[0])


@pytest.fixture
def all_is_large(monkeypatch):
    monkeypatch.setattr(layout, "LARGE_BATCH", 1)
    for module in (layout, large):
        monkeypatch.setattr(module, "N_PARTS", 5)


def train_large(cls, *arguments, n_blocks, is_shared=True, poisoned=False):
    sizes = {"hidden_layer_sizes": (8, 5), "n_bins": 2, "batch_size": 90}

    def job():
        table = make_table(n=200, n_features=2)
        job = new_job(table, n_held=20, n_components=2, max_iter=2, **sizes)
        if poisoned:
            job.training.X[3] = np.nan
        return job

    device = cls(*arguments)
    device.n_blocks = 2 * n_blocks  # two a multiprocessor
    variant = layout.variant_of(job(), device)
    assert variant.is_large
    variant = variant._replace(rows=16, shared_weights=is_shared)
    (result,) = train([job()], device, variant)
    return device, result, job


@pytest.mark.parametrize("is_shared", [True, False])
def test_no_race_between_blocks(all_is_large, is_shared):
    device, result, job = train_large(
        Together, make_meeting, 1, n_blocks=3, is_shared=is_shared
    )
    assert device.races == []
    (trial,) = Engine(1).run([job()])
    np.testing.assert_allclose(result.losses, trial.losses, rtol=1e-5)
    np.testing.assert_allclose(result.scores, trial.scores, rtol=1e-5)


@pytest.mark.parametrize("team", [3, 32])
def test_no_race_in_a_block_of_several(all_is_large, team):
    device, _, _ = train_large(Watched, make_plain, team, n_blocks=1)
    assert device.races == []


def test_every_meeting_is_missed(all_is_large):
    places, missed = set(), set()
    for poisoned in (False, True):
        whole, _, _ = train_large(
            Together, make_meeting, 1, n_blocks=3, poisoned=poisoned
        )
        places |= whole.sites
        for place in whole.sites - missed:
            device, _, _ = train_large(
                Together, make_meeting, 1, place, n_blocks=3, poisoned=poisoned
            )
            if device.races:
                missed.add(place)
    assert len(places) == 5
    assert missed == places
