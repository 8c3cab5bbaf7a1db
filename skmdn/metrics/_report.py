# SPDX-License-Identifier: BSD-3-Clause
"""Everything that says whether to trust a fit, in one table."""

import textwrap
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._fit.discrete import (
    discrete_message,
    discrete_outputs,
    point_masses,
    point_masses_message,
)
from skmdn._fit.statistics import weighted_std
from skmdn._fit.tail import n_tail_components
from skmdn._fit.targets import TargetScaling
from skmdn.distribution import MixtureDistribution
from skmdn.metrics._checks import check_rows, normalised_weight
from skmdn.metrics._scores import log_likelihood_score

_COVERAGES = {"coverage_50": 0.5, "coverage_90": 0.9}
# A component with less than this part of an equal share of the weight is not used.
_UNUSED = 0.01
# Scales below this part of the targets' scale are a finding where this part of the
# weight is on them. Calibrated fits do so without noise only, over-fitted ones often.
_NARROW, _NARROW_WEIGHT = 0.01, 0.1
# Standard errors between a coverage and its nominal value that chance does not explain.
_ERRORS = 3
# How many of the greatest weights of components are shown.
_SHOWN = 4
# What every row of an output is described by.
_OF_OUTPUTS = ("crps", *_COVERAGES, "pit", "narrowest_scale", "narrow_weight")
# Numbers of components that are described at a time.
_COMPONENTS_AT_ONCE = 2**18
# What is shown of every output.
_LINES = (
    ("CRPS, units of y", "crps"),
    ("coverage of 50 %", "coverage_50"),
    ("coverage of 90 %", "coverage_90"),
    ("PIT distance from uniform", "pit_distance"),
    ("narrowest scale / that of y", "narrowest_scale"),
    ("weight on scales below 0.01", "narrow_weight"),
)


@overload
def density_report(
    y_true: ArrayLike,
    dist: Any,
    *,
    sample_weight: ArrayLike | None = None,
    output_dict: Literal[False] = False,
) -> str: ...
@overload
def density_report(
    y_true: ArrayLike,
    dist: Any,
    *,
    sample_weight: ArrayLike | None = None,
    output_dict: Literal[True],
) -> dict[str, Any]: ...
def density_report(
    y_true: ArrayLike,
    dist: Any,
    *,
    sample_weight: ArrayLike | None = None,
    output_dict: bool = False,
) -> str | dict[str, Any]:
    r"""Scores, calibration and components of a fit, and what is wrong with it.

    Judge rows that the model was not fitted to: over-fitting cannot be seen in the
    others. `cross_val_predict_dist` gives such distributions for all rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row. Of a great many rows a random sample tells
        as much.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; those of zero weight are left out.
    output_dict : bool, default=False
        Whether to return the numbers instead of a text.

    Returns
    -------
    report : str or dict
        The dict has the keys

        - "n_samples": rows of positive weight;
        - "log_likelihood", "log_likelihood_error": mean in nats per row and its
          standard error, "worst_logpdf": the smallest of a row;
        - "gaussian_log_likelihood": that of normal distributions with the means and
          standard deviations of these targets, independent of X;
        - "n_components", "n_effective_components": the exponential of the entropy of a
          row's weights, mean over the rows (an ensemble counts the components of all
          members); "n_unused_components": those with less than a hundredth of an equal
          share of the weight; "component_weights": the mean weight of each; the tail
          that estimators put around their prediction is not counted;
        - "outputs": for every output a dict of "crps", "coverage_50" and "coverage_90"
          of the central intervals, "pit_distance": the Kolmogorov-Smirnov distance of
          the PIT values from uniform ones (nan for discrete targets and point masses:
          no density makes them uniform), "narrowest_scale": of a component in use, and
          "narrow_weight": the weight on components narrower than 0.01, both in units of
          the (robust) standard deviation of the targets; "point_masses": values that
          hold more than 1 % of the rows each, among others that hardly repeat, mapped
          to their shares;
        - "findings": sentences on what is wrong; the list is empty if nothing was
          found.

    Raises
    ------
    TypeError
        If `dist` is no mixture.
    ValueError
        If `y_true` is not finite or does not fit `dist`, or no weight is positive.

    See Also
    --------
    skmdn.inspection.PITDisplay : Calibration as a picture.
    sklearn.metrics.classification_report : The like for classifiers.

    Notes
    -----
    A coverage is a finding if it is more than three binomial standard errors away from
    its nominal value, the number of rows being :math:`(\sum w)^2 / \sum w^2` [1]_.
    `MDNRegressorCV` and `skmdn.calibration` correct it. For discrete targets and those
    with point masses it is none: an interval holds all of the mass at its end, or
    nothing.

    References
    ----------
    .. [1] L. Kish, "Survey sampling", Wiley, 1965.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.datasets import make_heteroscedastic
    >>> from skmdn.metrics import density_report
    >>> X, y = make_heteroscedastic(600, random_state=0)
    >>> mdn = MDNRegressor(2, random_state=0).fit(X[:500], y[:500])
    >>> dist = mdn.predict_dist(X[500:])
    >>> text = density_report(y[500:], dist)
    >>> print(text.splitlines()[0])
    rows                                100
    >>> numbers = density_report(y[500:], dist, output_dict=True)
    >>> numbers["log_likelihood"] > numbers["gaussian_log_likelihood"]
    True
    """
    y = check_rows(y_true, dist, "logpdf")
    all_weight = normalised_weight(sample_weight, len(y))
    used = np.flatnonzero(all_weight)
    Y, weight = y.reshape(len(y), -1)[used], all_weight[used]
    spread = np.abs(TargetScaling.fit(Y, weight).scale)
    rows = _describe_rows(Y, dist, used, spread)
    discrete = discrete_outputs(Y, weight)
    n_own = dist.n_components - n_tail_components(dist)
    outputs = [
        _describe_output(Y[:, j], {key: rows[key][:, j] for key in _OF_OUTPUTS}, weight)
        for j in range(Y.shape[1])
    ]
    for j in discrete:
        outputs[j]["pit_distance"] = np.nan
    report = {
        "n_samples": len(Y),
        **_describe_likelihood(rows["logpdf"], weight),
        "gaussian_log_likelihood": _gaussian_log_likelihood(Y, weight),
        **_describe_components(all_weight @ dist.weights[:, :n_own]),
        "n_effective_components": float(weight @ rows["effective"]),
        "outputs": outputs,
        "findings": _findings(Y, weight, outputs, discrete),
    }
    return report if output_dict else _as_text(report)


def _describe_rows(Y, dist, used, spread):
    """What the report needs of every row in use, a limited number of rows at a time."""
    step = max(64, _COMPONENTS_AT_ONCE // (dist.n_components * dist.n_outputs))
    blocks = []
    for start in range(0, len(used), step):
        rows = slice(start, start + step)
        part = dist[used[rows]]
        outputs = [
            _describe_output_rows(Y[rows, j], part.marginal(j), spread[j])
            for j in range(Y.shape[1])
        ]
        blocks.append(
            {
                "logpdf": part.logpdf(Y[rows] if Y.shape[1] > 1 else Y[rows, 0]),
                "effective": np.exp(special.entr(part.weights).sum(axis=1)),
                **{key: np.transpose([o[key] for o in outputs]) for key in _OF_OUTPUTS},
            }
        )
    return {key: np.concatenate([b[key] for b in blocks]) for key in blocks[0]}


def _describe_output_rows(y, dist, spread):
    scales = dist.scales / spread
    in_use = dist.weights >= _UNUSED / dist.n_components
    inside = {}
    for key, nominal in _COVERAGES.items():
        lower, upper = dist.interval(nominal)
        inside[key] = (lower <= y) & (y <= upper)
    return {
        "crps": dist.crps(y),
        **inside,
        "pit": dist.cdf(y),
        "narrowest_scale": np.where(in_use, scales, np.inf).min(axis=1),
        "narrow_weight": np.sum(dist.weights * (scales < _NARROW), axis=1),
    }


def _n_effective(weight):
    """Rows that equally weighted data of the same precision would have (Kish 1965)."""
    return 1 / np.sum(weight**2)


def _describe_likelihood(logpdf, weight):
    degrees = _n_effective(weight) - 1
    error = weighted_std(logpdf, weight) / np.sqrt(degrees) if degrees > 0 else np.nan
    return {
        "log_likelihood": float(weight @ logpdf),
        "log_likelihood_error": float(error),
        "worst_logpdf": float(logpdf.min()),
    }


def _gaussian_log_likelihood(Y, weight):
    """Of the normal distribution that has the moments of the targets themselves."""
    scales = np.array([weighted_std(column, weight) for column in Y.T])
    if not scales.all():
        return np.inf
    # The same for all rows, with an axis for its one component.
    shape = (len(Y), 1) if Y.shape[1] == 1 else (len(Y), 1, Y.shape[1])
    means, scales = np.resize(weight @ Y, shape), np.resize(scales, shape)
    gaussian = MixtureDistribution(np.ones((len(Y), 1)), means, scales)
    return log_likelihood_score(Y, gaussian, sample_weight=weight)


def _describe_components(usage):
    return {
        "n_components": len(usage),
        "n_unused_components": int(np.sum(usage < _UNUSED / len(usage))),
        "component_weights": usage,
    }


def _describe_output(y, rows, weight):
    values, shares = point_masses(y, weight)
    distance = _distance_to_uniform(rows["pit"], weight)
    return {
        **{key: float(weight @ rows[key]) for key in ("crps", *_COVERAGES)},
        "pit_distance": np.nan if len(values) else distance,
        "narrowest_scale": float(rows["narrowest_scale"].min()),
        "narrow_weight": float(weight @ rows["narrow_weight"]),
        "point_masses": dict(zip(values.tolist(), shares.tolist(), strict=True)),
    }


def _distance_to_uniform(values, weight):
    """Kolmogorov-Smirnov distance, above and below every step of the weighted cdf."""
    order = np.argsort(values)
    values, weight = values[order], weight[order]
    cdf = np.cumsum(weight)
    return float(max(np.max(cdf - values), np.max(values - (cdf - weight))))


def _findings(Y, weight, outputs, discrete):
    findings = []
    if len(discrete):
        findings.append(discrete_message(discrete, len(outputs)))
    for j, output in enumerate(outputs):
        if j not in discrete and Y[:, j].min() < Y[:, j].max():
            found = _output_findings(output, _n_effective(weight))
            name = f"Output {j}: " if len(outputs) > 1 else ""
            findings += [name + sentence for sentence in found]
    return findings


def _output_findings(output, n):
    """Sentences on one output that varies and is not discrete, given by `n` rows."""
    if output["point_masses"]:
        masses = output["point_masses"]
        yield point_masses_message(list(masses), masses.values())
        return
    too_narrow = False
    for key, nominal in _COVERAGES.items():
        reached = output[key]
        excess = (reached - nominal) / np.sqrt(nominal * (1 - nominal) / n)
        if abs(excess) > _ERRORS:
            too_narrow |= excess < 0
            kind = "over-confident" if excess < 0 else "under-confident"
            yield (
                f"The central {100 * nominal:.0f} % interval holds {100 * reached:.1f}"
                f" % of the rows: the predictions are {kind}."
            )
    if output["narrow_weight"] >= _NARROW_WEIGHT:
        narrow = (
            f"{100 * output['narrow_weight']:.0f} % of the weight is on scales below "
            f"{_NARROW} of that of the targets"
        )
        yield (
            f"Components have collapsed: {narrow}. The network over-fits; more rows, "
            "early_stopping=True or a greater min_scale would help."
            if too_narrow
            else f"{narrow}: they have almost no noise given X, or repeat, or the "
            "network was fitted to these rows."
        )


def _as_text(report):
    """Lay the numbers out, one a line with a column for every output; then findings."""
    weights = np.sort(report["component_weights"])[::-1]
    outputs = report["outputs"]
    rows = [
        ("rows", f"{report['n_samples']}"),
        ("log-likelihood, nats per row", f"{report['log_likelihood']:.3f}"),
        ("    standard error", f"{report['log_likelihood_error']:.3f}"),
        ("    one Gaussian, without X", f"{report['gaussian_log_likelihood']:.3f}"),
        ("    worst row", f"{report['worst_logpdf']:.3f}"),
        ("components", f"{report['n_components']}"),
        ("    effective in a row", f"{report['n_effective_components']:.2f}"),
        ("    not used", f"{report['n_unused_components']}"),
        (
            "    greatest mean weights",
            *(f"{weight:.3f}" for weight in weights[:_SHOWN]),
        ),
    ]
    if len(outputs) > 1:
        rows.append(("", *(f"output {j}" for j in range(len(outputs)))))
    rows += [
        (label, *(f"{output[key]:.4g}" for output in outputs)) for label, key in _LINES
    ]
    table = "\n".join(
        f"{row[0]:<29}" + "".join(f"{x:>10}" for x in row[1:]) for row in rows
    )
    findings = [
        textwrap.fill(
            finding,
            79,
            initial_indent="- ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for finding in report["findings"]
    ]
    return "\n".join([table, "", *findings]) if findings else table
