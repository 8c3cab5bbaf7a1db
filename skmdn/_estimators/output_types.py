# SPDX-License-Identifier: BSD-3-Clause
"""What ``predict`` returns of a distribution, by `output_type`.

The names are those of TabPFN's regressor, which others follow.
"""

import numpy as np

from skmdn._distribution.checks import check_choice, check_probabilities

OUTPUT_TYPES = ("mean", "median", "mode", "quantiles", "full")
DECILES = np.arange(1, 10) / 10


def check_output_type(output_type, quantiles, n_outputs, allowed=OUTPUT_TYPES):
    """Validate the choice; return the quantile levels, None for what has none.

    Raises
    ------
    ValueError
        If `output_type` is not in `allowed`, or does not go with `quantiles` or with
        the number of outputs.
    """
    check_choice("output_type", output_type, allowed)
    if output_type in ("median", "quantiles") and n_outputs > 1:
        raise ValueError(
            f'output_type="{output_type}" is for one output, this model has '
            f"{n_outputs}: choose one by predict_dist(X).marginal(j)."
        )
    if output_type == "quantiles":
        return (
            DECILES
            if quantiles is None
            else check_probabilities("quantiles", quantiles)
        )
    if quantiles is not None:
        raise ValueError(
            'quantiles are for output_type="quantiles"; got '
            f'output_type="{output_type}".'
        )
    return None


def summarise(dist, output_type, levels):
    """Summary of every row, with the levels that `check_output_type` returned."""
    if output_type == "quantiles":
        return dist.ppf(levels)
    return getattr(dist, output_type)()


def ask(answers, X, output_type, levels):
    """Summary of every row and its standard deviation, by the kernels of a GPU.

    The latter is None where there is none beside the summary; all is where the kernels
    do not know the summary.
    """
    if output_type == "mean":
        return answers.moments(X)
    if output_type == "median":
        return answers.quantiles(X, [0.5])[:, 0], None
    if output_type == "quantiles":
        return answers.quantiles(X, levels), None
    return None
