# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressorCV: cross-fitted networks as one calibrated mixture."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import ParameterGrid
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.checks import new_generator
from skmdn._distribution.errstate import own_errstate
from skmdn._engine import get_engine
from skmdn._estimators.base import DistributionRegressor
from skmdn._estimators.mdn import MDNRegressor
from skmdn._estimators.watch import FitsWatch
from skmdn._fit import auto as _auto
from skmdn._fit.crossfit import N_SINGLES, cross_fit, most_fits, unshared
from skmdn._fit.discrete import warn_if_discrete
from skmdn._fit.job import fitted_attributes
from skmdn._fit.model import fitted_state
from skmdn._fit.pool import Pool
from skmdn._fit.rows import MergedTable, Rows
from skmdn._fit.splits import auto_splits, given_splits
from skmdn._fit.tail import with_tail
from skmdn._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_table,
    fit_context,
    fitted_by_another,
    takes_weights,
)
from skmdn._typing import Seed

_SHARED = (
    *("hidden_layer_sizes", "activation", "family", "covariance_type"),
    "n_estimators",
    *("alpha", "input_noise", "learning_rate_init", "batch_size", "max_iter"),
    *("n_iter_no_change", "min_scale", "device"),
)
# What the components of a mixture have in common.
_KIND = ("family", "covariance_type")

# A line with Gaussian noise, trained by the same engine: the safe side of every table.
_LINEAR = {
    "n_components": 1,
    "hidden_layer_sizes": (),
    "n_estimators": 1,
    "n_bins": 0,
    "input_noise": 0.0,
    "alpha": 0.0,
}


@own_errstate(["fit"], all="warn", under="ignore")
class MDNRegressorCV(CallbackSupportMixin, DistributionRegressor):
    """Cross-fitted mixture density networks: the best density out of the box.

    Every fold's network is trained on the other folds and stopped by its own; all of
    them are kept, as one mixture. Candidates for `n_components`, or for any other
    parameter, are compared by out-of-fold log-likelihood. The scales are calibrated on
    out-of-fold densities. A light tail, see `predict_dist`, bounds the loss of rows
    unlike any seen before.

    Parameters
    ----------
    n_components : int or sequence of int, default=8
        Components of every member's mixture, or candidates to choose from.
    cv : "auto", int, cross-validation generator or iterable, default="auto"
        "auto": 5 shuffled folds under 3000 rows, else one hold-out of a tenth; with
        `groups`, folds and hold-out of whole groups.
    n_estimators : "auto" or int, default="auto"
        Members of every network, see `MDNRegressor`. "auto": 8; and to the first split
        a single, deeper network is fitted too, which is better where targets have
        almost no noise. It is weighed by the held-out rows like all others; where it is
        better by a clear tenth of a nat, two of it are fitted to every split.
    param_grid : dict or None, default=None
        Candidates for further parameters of `MDNRegressor`: names to sequences.
    scoring : str, callable or None, default=None
        Judges candidates on held-out rows: a name that `sklearn.metrics.get_scorer`
        knows, or ``scoring(estimator, X, y)``, greater is better. It gets the weights
        of the rows too if it has a parameter `sample_weight`. None: mean
        log-likelihood.
    calibrate : bool, default=True
        Whether to fit the temperature of the scales, the sharpness of the weights, and
        the weight of linear models [4]_ to out-of-fold densities.
    hidden_layer_sizes, activation, family, covariance_type
        See `MDNRegressor`. The single network of ``n_estimators="auto"`` has three
        layers of at least 128 units where `hidden_layer_sizes` is "auto".
    n_bins : "auto" or int, default="auto"
        Quantile bins of every input, see `MDNRegressor`. "auto": 4 for smooth functions
        or 16 for steps, and 8 for the single network of ``n_estimators="auto"``.
        Networks of both kinds are fitted to the first split, and weighed by its
        held-out rows, those of less than 0.02 left out; those of 16 are fitted to the
        other splits, unless the first is clearly for others.
    alpha, input_noise
        See `MDNRegressor`, like the following.
    learning_rate_init, batch_size, max_iter, n_iter_no_change, min_scale
    device : {"cpu", "cuda", "auto"}, default="cpu"
        See `MDNRegressor`. A GPU trains the networks of all candidates and splits at
        the same time: first those of the first split, then the others.
    n_jobs : int or None, default=None
        Threads over folds and candidates: the same bits for every number.
    random_state : int, RandomState instance or None, default=None
        Decides everything random.
    verbose : int or bool, default=0
        Whether to show a progress bar.
    callback : callable or None, default=None
        Called as ``callback(fit, losses, estimator_copy)`` after the fit of every
        network, split by split: the number of the fit from 1 on; a dict with the
        "candidate" (its number, None for the linear model), the "split" (its number),
        "loss" and "validation_score" of its last epoch; and a function that returns the
        network as a fitted `MDNRegressor`. Returning True stops: no further split is
        begun, and the model is that of the splits so far.

    Attributes
    ----------
    best_params_ : dict
        The chosen candidate.
    best_score_ : float
        Its score: the mean over the folds.
    n_bins_ : int
        Bins of its networks; the first split may also have networks of other kinds.
    cv_results_ : dict of ndarray
        As in `GridSearchCV`: "params", "mean_test_score", "rank_test_score", ...
    temperature_ : float
        Factor on the scales of the networks. A mixture of calibrated folds is too wide:
        it is below that of single folds where members of a network disagree and where
        folds have seen different rows.
    sharpness_ : float
        Power, 1 or more, to which the weights of components are raised: the inverse
        temperature of their softmax [5]_.
    linear_weight_ : float
        Weight of linear models with Gaussian noise, fitted to the same folds: 0 where
        the networks do without.
    oof_logpdf_ : ndarray of shape (n_samples,)
        Log-densities of the training rows under the models that did not see them; nan
        for rows never held out.
    component_weights_ : ndarray of shape (n_splits, n_members * n_components)
        Mean weight of every component of the best network of a split over the rows held
        out from it.
    n_features_in_, n_outputs_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if the inputs have names.
    output_names_ : list of str
        Names of the columns of `y`. Only if it was a DataFrame with such names.
    n_iter_ : int
        Greatest number of epochs of a fold of the chosen candidate.
    loss_curve_, validation_scores_ : list of list of float
        Those of `MDNRegressor`, for every fold of the chosen candidate.

    See Also
    --------
    MDNRegressor : One network.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell (2017), Simple and Scalable
       Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS.
    .. [2] R. Rahaman and A. Thiery (2021), Uncertainty Quantification and Deep
       Ensembles, NeurIPS.
    .. [3] T. Gneiting and R. Ranjan (2013), Combining Predictive Distributions,
       Electronic Journal of Statistics 7.
    .. [4] P. Smyth and D. Wolpert (1999), Linearly Combining Density Estimators via
       Stacking, Machine Learning 36.
    .. [5] C. Guo, G. Pleiss, Y. Sun and K. Weinberger (2017), On Calibration of Modern
       Neural Networks, ICML.

    Examples
    --------
    >>> from skmdn import MDNRegressorCV
    >>> from skmdn.datasets import make_bimodal
    >>> X, y = make_bimodal(300, random_state=0)
    >>> mdn = MDNRegressorCV([1, 4], cv=2, n_estimators=2, max_iter=50, random_state=0)
    >>> mdn.fit(X, y).best_params_
    {'n_components': 4}
    """

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's protocol)
        **{name: MDNRegressor._parameter_constraints[name] for name in _SHARED},
        "n_components": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_estimators": [
            StrOptions({"auto"}),
            *MDNRegressor._parameter_constraints["n_estimators"],
        ],
        "n_bins": [
            StrOptions({"auto"}),
            *MDNRegressor._parameter_constraints["n_bins"],
        ],
        "cv": [StrOptions({"auto"}), "cv_object"],
        "param_grid": [dict, None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "calibrate": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callback": [callable, None],
    }

    def __init__(
        self,
        n_components: int | Sequence[int] = 8,
        *,
        cv: Any = "auto",
        n_estimators: int | Literal["auto"] = "auto",
        param_grid: dict[str, Any] | None = None,
        scoring: Any = None,
        calibrate: bool = True,
        hidden_layer_sizes: Any = "auto",
        activation: Any = "silu",
        family: Any = "gaussian",
        covariance_type: Any = "diag",
        n_bins: int | Literal["auto"] = "auto",
        alpha: Any = 0.1,
        input_noise: Any = "auto",
        learning_rate_init: Any = "auto",
        batch_size: Any = "auto",
        max_iter: Any = "auto",
        n_iter_no_change: Any = "auto",
        min_scale: Any = "auto",
        device: Any = "cpu",
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        self.n_components = n_components
        self.cv = cv
        self.n_estimators = n_estimators
        self.param_grid = param_grid
        self.scoring = scoring
        self.calibrate = calibrate
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.family = family
        self.covariance_type = covariance_type
        self.n_bins = n_bins
        self.alpha = alpha
        self.input_noise = input_noise
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.min_scale = min_scale
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Cross-fit the candidates and keep the networks of the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        groups : array-like of shape (n_samples,), default=None
            Group labels for the splitter `cv`, which keeps rows of a group together. So
            does ``cv="auto"``.

        Returns
        -------
        self : MDNRegressorCV

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; an earlier fit is then kept.

        Warns
        -----
        UserWarning
            For discrete targets, where the CRPS is the score to read.
        """
        engine = get_engine(self.device, effective_n_jobs(self.n_jobs))
        table = check_table(self, X, y, sample_weight, reset=True)
        rng = new_generator(self.random_state)
        rows, merged = Rows.of(*table[:3]).with_relative_weights(), None
        if isinstance(self.cv, str):
            merged = MergedTable.of(rows, groups)
            rows = merged.rows
        if len(rows) < 2:
            raise ValueError(
                f"MDNRegressorCV needs at least 2 distinct rows, got n_samples = "
                f"{len(rows)}."
            )
        warn_if_discrete(rows.Y, rows.weight, once=fitted_by_another())
        if merged is not None:
            splits = auto_splits(merged, rng)
        else:
            splits = given_splits(self.cv, rows, groups)
        if not splits:
            raise ValueError(f"cv must give at least one split, got cv={self.cv!r}.")
        seeds = rng.randint(2**31 - 1, size=(N_SINGLES, len(splits)))
        candidates = self._candidates()
        # A line for each kind of components: mixtures are of one.
        kinds = list({self._kind(candidate): None for candidate in candidates})
        lines = [_LINEAR | dict(zip(_KIND, kind, strict=True)) for kind in kinds]
        variants = [
            self._variants(candidate, len(rows)) for candidate in [*candidates, *lines]
        ]
        n_fits = most_fits(variants, len(splits))

        def network(fitted):
            return self._network(fitted, table)

        with FitsWatch(self, table, n_fits, len(candidates), network) as watch:
            folds = cross_fit(variants, splits, seeds, engine, watch)
            folds, lines = folds[: len(candidates)], folds[len(candidates) :]
            experts = dict(zip(kinds, lines, strict=True))
            scores = [[self._judge(fold, table, merged) for fold in r] for r in folds]
            fitted = self._fitted(
                table, rows, merged, candidates, folds, np.array(scores), experts
            )
            watch.end(fitted)
        self._store(fitted)
        return self

    def _candidates(self):
        """Parameters of every candidate, as a list of dicts."""
        counts = self.n_components
        counts = [counts] if isinstance(counts, Integral) else list(counts)
        grid = {"n_components": counts, **(self.param_grid or {})}
        unknown = set(grid) - set(MDNRegressor().get_params())
        if unknown:
            raise ValueError(
                f"param_grid has {sorted(unknown)}, which are not parameters of "
                f"MDNRegressor."
            )
        candidates = list(ParameterGrid(grid))
        if not candidates:
            raise ValueError("n_components and param_grid must name a candidate.")
        return candidates

    def _kind(self, candidate):
        """What the components of a candidate are."""
        return tuple(candidate.get(name, getattr(self, name)) for name in _KIND)

    def _variants(self, candidate, n):
        """Networks of a candidate that `n` rows choose from; the last is the usual."""
        params = {name: getattr(self, name) for name in (*_SHARED, "n_bins")}
        params |= candidate
        variants = [params]
        if params["n_estimators"] == "auto":
            single = params | {"n_estimators": 1}
            if isinstance(params["hidden_layer_sizes"], str):
                single["hidden_layer_sizes"] = _auto.single_layer_sizes(n)
            if params["n_bins"] == "auto":
                single["n_bins"] = _auto.SINGLE_BINS
            variants = [single, params | {"n_estimators": _auto.N_ESTIMATORS}]
        if params["n_bins"] == "auto":
            usual = variants.pop()
            variants += [usual | {"n_bins": n_bins} for n_bins in _auto.N_BINS]
        variants = [MDNRegressor(**variant) for variant in variants]
        for variant in variants:
            variant._validate_params()
        return variants

    def _network(self, fitted, table):
        """Network of a fold as an estimator of its own."""
        estimator = clone(fitted.estimator)
        estimator._store(fitted_attributes(fitted, table))
        return estimator

    def _judge(self, fold, table, merged):
        """Score of a fold's best network on the rows held out from it."""
        rows = fold.held_out
        if self.scoring is None:
            logpdf = with_tail(fold.best.model.distribution(rows.X)).logpdf(rows.y)
            return np.average(logpdf, weights=rows.weight)
        scorer, estimator = get_scorer(self.scoring), self._network(fold.best, table)
        if takes_weights(scorer):
            weight = rows.weight
            if merged is None:  # as the user gave them
                weight = table.sample_weight[rows.numbers]
            return float(scorer(estimator, rows.X, rows.y, sample_weight=weight))
        X, y = rows.X, rows.y
        if merged is not None:
            copies = merged.copies(rows)
            X, y = np.repeat(X, copies, axis=0), np.repeat(y, copies, axis=0)
        return float(scorer(estimator, X, y))

    def _fitted(self, table, rows, merged, candidates, folds, scores, experts):
        """Everything that the fitted estimator has, as a dict."""
        mean = scores.mean(axis=1)
        best = int(np.argmax(mean))
        chosen = folds[best]
        held_out = [fold.held_out for fold in chosen]
        stacks = [fold.stack for fold in chosen]
        lines = [fold.best.model for fold in experts[self._kind(candidates[best])]]
        pool = Pool(stacks, lines)
        if self.calibrate:
            pool = pool.calibrated(held_out).stacked(held_out)
        total, weights = np.zeros((2, len(rows)))
        usage = []
        for i, part in enumerate(held_out):
            logpdf = with_tail(pool.part(i, part.X)).logpdf(part.y)
            total[part.numbers] += part.weight * logpdf
            weights[part.numbers] += part.weight
            network = chosen[i].best.model.distribution(part.X)
            usage.append(np.average(network.weights, axis=0, weights=part.weight))
        oof = np.divide(
            total, weights, out=np.full(len(total), np.nan), where=weights > 0
        )
        if self.calibrate:
            pool = pool.pooled(held_out, unshared(chosen, rows.weight))
        if merged is not None:
            oof = np.append(oof, np.nan)[merged.numbers]
        return {
            **table.attributes,
            **fitted_state(**pool.state()),
            "_y_ndim": table.y_ndim,
            "n_outputs_": table.Y.shape[1],
            "n_iter_": max(len(fold.best.losses) for fold in chosen),
            "n_bins_": chosen[0].best.estimator.n_bins,
            "loss_curve_": [fold.best.losses for fold in chosen],
            "validation_scores_": [fold.best.scores for fold in chosen],
            "best_params_": candidates[best],
            "best_score_": float(mean[best]),
            "cv_results_": _results(candidates, scores),
            "oof_logpdf_": oof,
            "component_weights_": np.array(usage),
        }

    @property
    def temperature_(self):
        """Factor on the scales of the networks' components."""
        return self._mixture().temperature

    @property
    def linear_weight_(self):
        """Weight of the linear experts."""
        return self._mixture().linear_weight

    @property
    def sharpness_(self):
        """Power to which the weights within every member are raised."""
        return self._mixture().sharpness

    def _mixture(self):
        check_is_fitted(self)
        return Pool.of(self)


def _results(candidates, scores):
    """Scores of the candidates in the form of `GridSearchCV.cv_results_`."""
    mean = scores.mean(axis=1)
    unit = max(1.0, np.abs(scores).max())
    names = list(candidates[0])
    parameters = {
        f"param_{name}": np.array([c[name] for c in candidates], dtype=object)
        for name in names
    }
    by_split = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
    return {
        **parameters,
        "params": candidates,
        **by_split,
        "mean_test_score": mean,
        # A target of another magnitude costs more than could be squared.
        "std_test_score": unit * (scores / unit).std(axis=1),
        "rank_test_score": rankdata(-mean, method="min").astype(int),
    }
