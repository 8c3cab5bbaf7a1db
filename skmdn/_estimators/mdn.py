# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressor: parameters, validation, orchestration."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.errstate import own_errstate, under
from skmdn._engine import get_engine
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.training import averaging_weight
from skmdn._estimators.base import DistributionRegressor
from skmdn._estimators.watch import Watch
from skmdn._families import FAMILIES
from skmdn._families.head import COVARIANCE_TYPES
from skmdn._fit.discrete import warn_if_discrete
from skmdn._fit.job import (
    Fitted,
    Prepared,
    first_progress,
    fitted_attributes,
    hold_out,
    make_job,
    needs_no_held_out_rows,
    start_model,
    training_options,
)
from skmdn._fit.model import Model, Progress, fitted_network, is_fitted
from skmdn._fit.rows import Rows
from skmdn._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_table,
    fit_context,
    fitted_by_another,
)
from skmdn._typing import Seed


@own_errstate(["fit"], all="warn", under="ignore")
class MDNRegressor(CallbackSupportMixin, DistributionRegressor):
    """Mixture density network: regression that gives the whole distribution.

    A neural network maps every row of X to the weights, means and scales of a mixture
    of Gaussians, the conditional density of the targets [1]_. It is trained by maximum
    likelihood. Inputs and targets are scaled inside; densities are in the units of `y`.
    A light tail, see `predict_dist`, bounds the loss of rows unlike any seen before.

    Parameters
    ----------
    n_components : int, default=8
        Components of the mixture. Too many do little harm.
    hidden_layer_sizes : "auto", int or sequence of int, default="auto"
        Units of every hidden layer. Empty: the mixture of linear experts. "auto": two
        layers of 64 to 256 units, by the number of rows.
    activation : {"identity", "tanh", "relu", "silu", "gelu"}, default="silu"
        Activation of the hidden layers.
    family : {"gaussian", "laplace", "logistic"}, default="gaussian"
        Shape of the components. Laplace components have a peak and heavier tails,
        logistic ones are between the two.
    covariance_type : {"diag", "spherical", "full", "tied"}, default="diag"
        For several outputs: each component has one scale per output ("diag"), one
        relative to the scales of all outputs ("spherical"), or its own covariance
        matrix ("full") [4]_; or all components of a row share one ("tied"). The latter
        two are for Gaussians.
    n_estimators : int, default=1
        Members of an ensemble that shares the hidden weights [2]_; the density is their
        equal mixture, of ``n_estimators * n_components`` components.
    n_bins : int, default=8
        Quantile bins of the piecewise-linear encoding [3]_ that every input gets beside
        itself. 0: none.
    alpha : float, default=0.1
        Decoupled weight decay: every step shrinks the weights by the part
        ``alpha * learning_rate``.
    input_noise : "auto" or float, default="auto"
        Standard deviation of the noise that is added to the scaled inputs during
        training. It falls to zero with the learning rate. "auto": 0.03 for tables of
        up to 3000 rows and more than 4 bins, else none.
    learning_rate_init : "auto" or float, default="auto"
        Learning rate of the first step; a cosine takes it to zero over `max_iter`
        epochs. "auto": 0.01, less for wide layers.
    batch_size : "auto" or int, default="auto"
        Rows of a step. "auto": 32 to 4096, by the number of rows.
    max_iter : "auto" or int, default="auto"
        Epochs. "auto": 20 for a million rows, 400 and more for a few hundred.
    early_stopping : "auto" or bool, default="auto"
        Whether to hold rows out and keep the parameters of the epoch that made them
        most likely. All scales are then multiplied by a common factor: the one of at
        least 1 that makes them most likely, times one above 1 since new rows are
        less likely. "auto": with 5 or more distinct rows, or `X_val` given to `fit`.
    validation_fraction : "auto" or float, default="auto"
        Part of the rows that is held out. "auto": a tenth, but at least 30 rows, as far
        as those are no more than 0.3 of all.
    n_iter_no_change : "auto", int or None, default="auto"
        Epochs without a better validation score after which training stops. "auto":
        a quarter of `max_iter`. None: never.
    min_scale : "auto" or float, default="auto"
        Lower bound of the scales of components, at most 1e6, in units of the scale of
        the targets. Of correlated outputs it bounds the scale of each given the ones
        before.
        "auto": 0.001, or 0.05 of the spacing of target values that repeat.
    warm_start : bool, default=False
        Whether `fit` starts from the parameters of the previous one. Scaling and
        encoding stay as they were. Many fits of few epochs do not reach what one long
        fit does where targets have almost no noise.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to train and predict. "cuda": on an NVIDIA GPU, which needs the extra
        ``skmdn[cu13]`` or ``skmdn[cu12]``; what it cannot do is refused by name.
        "auto": on the GPU what it can do, if there is one, and all else on the CPU.
        The numbers of a GPU are the same bits on repeat, and differ from those of a CPU
        by rounding. A fitted model predicts on machines without a GPU too: what it
        predicts for fewer than 100 000 rows, modes, and `predict_dist` are of the CPU.
    n_jobs : int or None, default=None
        Threads for one fit and for predictions: the result is the same bits for every
        number. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Decides everything random: the start, the held-out rows, batches and noise.
        None: every fit is different; NumPy's global generator is not used.
    verbose : int or bool, default=0
        Whether to show a progress bar with loss and validation score.
    callback : callable or None, default=None
        Called as ``callback(epoch, losses, estimator_copy)`` after every epoch: the
        number of the epoch from 1 on, a dict with "loss" and "validation_score" (None
        without), and a function that returns a fitted copy of the estimator as it
        is now. Returning True stops training. A fitted estimator is pickled without
        a callback that cannot be pickled.

    Attributes
    ----------
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, where `X` has such.
    output_names_ : list of str
        Names of the columns of `y`. Only if it was a DataFrame with such names.
    n_outputs_ : int
        Number of targets.
    n_iter_ : int
        Epochs trained.
    loss_curve_ : list of float
        Mean negative log-likelihood of the training rows during every epoch.
    validation_scores_ : list of float or None
        Mean log-likelihood of the held-out rows after every epoch.
    best_validation_score_ : float or None
        That of the parameters which are kept, with the final scales and, like all
        scores during training, without the tail.
    coefs_, intercepts_ : list of ndarray
        Weights and biases, layer by layer.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The same kind of network for the mean alone.
    sklearn.mixture.GaussianMixture : The mixture without inputs.

    References
    ----------
    .. [1] C. M. Bishop (1994), Mixture Density Networks, Aston University NCRG/94/004.
    .. [2] Y. Gorishniy, A. Kotelnikov and A. Babenko (2025), TabM, ICLR.
    .. [3] Y. Gorishniy, I. Rubachev and A. Babenko (2022), On Embeddings for Numerical
       Features in Tabular Deep Learning, NeurIPS.
    .. [4] P. M. Williams (1996), Using Neural Networks to Model Conditional
       Multivariate Densities, Neural Computation 8.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn import MDNRegressor
    >>> rng = np.random.RandomState(0)
    >>> X = rng.uniform(-1, 1, size=(400, 1))
    >>> y = rng.choice([-1.0, 1.0], 400) * (1 + X[:, 0]) + 0.1 * rng.normal(size=400)
    >>> mdn = MDNRegressor(n_components=2, random_state=0).fit(X, y)
    >>> distribution = mdn.predict_dist([[0.0]])
    >>> bool(distribution.pdf(1.0)[0] > 10 * distribution.pdf(0.0)[0])
    True
    """

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's protocol)
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            "array-like",
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "family": [StrOptions(FAMILIES.keys())],  # also those registered later
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "n_bins": [Interval(Integral, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "input_noise": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [
            StrOptions({"auto"}),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "n_iter_no_change": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        # Squares in float32 must be finite.
        "min_scale": [StrOptions({"auto"}), Interval(Real, 0, 1e6, closed="right")],
        "warm_start": ["boolean"],
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callback": [callable, None],
    }

    def __init__(
        self,
        n_components: int = 8,
        *,
        hidden_layer_sizes: int | Sequence[int] | Literal["auto"] = "auto",
        activation: Literal["identity", "tanh", "relu", "silu", "gelu"] = "silu",
        family: str = "gaussian",
        covariance_type: Literal["diag", "spherical", "full", "tied"] = "diag",
        n_estimators: int = 1,
        n_bins: int = 8,
        alpha: float = 0.1,
        input_noise: float | Literal["auto"] = "auto",
        learning_rate_init: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int | Literal["auto"] = "auto",
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | Literal["auto"] = "auto",
        n_iter_no_change: int | Literal["auto"] | None = "auto",
        min_scale: float | Literal["auto"] = "auto",
        warm_start: bool = False,
        device: Literal["cpu", "cuda", "auto"] = "cpu",
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.family = family
        self.covariance_type = covariance_type
        self.n_estimators = n_estimators
        self.n_bins = n_bins
        self.alpha = alpha
        self.input_noise = input_noise
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.min_scale = min_scale
        self.warm_start = warm_start
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
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, at most 1e150 in magnitude; differences below 1e-150 do not count.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 is the same as the row twice. Only their
            ratios matter.
        X_val : array-like of shape (n_val, n_features), default=None
            Inputs to judge training by, instead of rows of `X`.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.

        Returns
        -------
        self : MDNRegressor

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; an earlier fit is then kept.

        Warns
        -----
        UserWarning
            For targets that are discrete or have point masses: the CRPS is the score to
            read. Of many fits (a search, say) the first one warns.
        """
        engine = get_engine(self.device, effective_n_jobs(self.n_jobs))
        previous, progress = None, first_progress(self)
        if self.warm_start and is_fitted(self):
            previous, progress = Model.of(self), Progress.of(self)
        table = check_table(self, X, y, sample_weight, reset=previous is None)
        rows = Rows.of(*table[:3]).merged()
        warn_if_discrete(rows.Y, rows.weight, once=fitted_by_another())
        # Rows that were held out once are not trained on later.
        rng = np.random.RandomState(progress.seed)
        training, validation = hold_out(self, rows, table, X_val, y_val, rng)
        prepared = Prepared(training, validation)
        model = start_model(self, prepared, rng, previous, progress)
        if previous is None:
            data, held_out = prepared.data, prepared.validation
        else:
            model = model.with_min_scale(self.min_scale, prepared)
            data = model.scaled(training)
            held_out = None if validation is None else model.scaled(validation)
            # One seed would repeat the batches of the fit before.
            rng = np.random.RandomState([progress.seed, progress.n_steps])
        options = training_options(self, model, n=len(rows))._replace(
            widen=True,
            keep_interrupted=not fitted_by_another(),
            earlier=None if previous is None else (model.params, progress.log_widening),
        )
        so_far = progress._replace(log_widening=0.0, optimizer=None)

        def describe(params, losses, scores):
            fitted = Fitted.of(self, model, params, losses, scores)
            return fitted_attributes(fitted, table, so_far)

        with Watch(self, table, model, options.max_iter, describe) as watch:
            job = make_job(
                *(model, data, held_out, options),
                *(progress.training_state(model), rng, watch),
            )
            (trial,) = engine.run([job])
        state = trial.state
        fitted = Fitted.of(self, model, state.params, trial.losses, trial.scores)
        reached = so_far._replace(
            n_steps=state.n_steps + state.t,
            log_widening=trial.log_widening,
            optimizer=state.optimizer() if self.warm_start else None,
        )
        attributes = fitted_attributes(fitted, table, so_far, trial.best_score)
        attributes |= fitted_network(fitted.model, reached)
        watch.end(attributes)
        self._store(attributes)
        return self

    @available_if(needs_no_held_out_rows)
    @fit_context(prefer_skip_nested_validation=True)
    @under(all="warn", under="ignore")
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given rows.

        The first call fixes the scaling of inputs and targets and the size of the
        network: it should see typical rows. The learning rate falls with the number of
        all steps so far, and predictions are made with an average of the parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : MDNRegressor

        Raises
        ------
        ValueError
            For data or parameters that cannot be used.
        AttributeError
            If ``early_stopping=True``.
        """
        engine = get_engine(self.device, effective_n_jobs(self.n_jobs))
        previous, progress = None, first_progress(self)
        if is_fitted(self):
            previous, progress = Model.of(self), Progress.of(self)
        table = check_table(self, X, y, sample_weight, reset=previous is None)
        rng = np.random.RandomState(
            # One seed would repeat the batches of the call before.
            [progress.seed, progress.n_steps] if progress.n_steps else progress.seed
        )
        rows = Rows.of(*table[:3]).merged()
        prepared = Prepared(rows)
        model = start_model(self, prepared, rng, previous, progress)
        if self.min_scale != "auto":  # Few rows do not tell which values repeat.
            model = model.with_min_scale(self.min_scale, prepared)
        options = training_options(self, model, n=len(rows))
        options = options._replace(max_iter=1, is_endless=True)
        average, state = model.params.copy(), progress.training_state(model)
        before = state.t
        job = make_job(model, model.scaled(rows), None, options, state, rng)
        (trial,) = engine.run([job])
        n_steps = state.n_steps + state.t
        new = averaging_weight(n_steps, state.t - before)
        average += new * (state.params - average)
        model = model._replace(params=average).widened(progress.log_widening)
        fitted = Fitted.of(self, model, model.params, trial.losses, [])
        reached = progress._replace(n_steps=n_steps, optimizer=state.optimizer())
        attributes = fitted_attributes(fitted, table, progress)
        self._store(attributes | fitted_network(model, reached))
        return self

    @property
    def coefs_(self):
        """Weights of the hidden layers, then of every member's head, (n_in, n_out)."""
        return self._layers()[0]

    @property
    def intercepts_(self):
        """Biases layer by layer, within a layer member by member."""
        return self._layers()[1]

    def _layers(self):
        check_is_fitted(self)
        model = Model.of(self)
        return model.network.layers(model.params)

    def _mixture(self):
        return Model.of(self)
