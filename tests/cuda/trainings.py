# SPDX-License-Identifier: BSD-3-Clause
"""Trainings in a group on a device that stands in for a GPU."""

from typing import NamedTuple

import numpy as np

from skmdn._engine.cuda.group import Group
from skmdn._engine.training import Course


class Result(NamedTuple):
    """What came of a training."""

    losses: np.ndarray
    scores: np.ndarray
    arrays: np.ndarray  # params, m, v, best

    def same_bits(self, other):
        """Whether nothing differs at all."""
        return all(map(np.array_equal, self, other))


def train(jobs, device, variant, *, chunk=1000):
    """Train jobs in one group, so many epochs a launch; return their `Result`s."""
    courses = [Course(job) for job in jobs]
    group = Group(jobs, courses, variant, device)
    while not all(course.is_over for course in courses):
        group.run(chunk)
        curves = group.collect()
        assert any(curves), "no epoch was run"
        for i, epochs in enumerate(curves):
            course = courses[i]
            if jobs[i].validation is not None and course.best_score is None:
                course.best_score = group.start(i)
            for epoch in epochs:
                course.state.t += course.n_steps
                course.close_epoch(*epoch)
    return [
        Result(np.array(c.losses), np.array(c.scores, float), np.array(group.read(i)))
        for i, c in enumerate(courses)
    ]
