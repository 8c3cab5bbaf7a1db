# SPDX-License-Identifier: BSD-3-Clause
"""Watching a training: the progress bar and the callbacks, part by part."""

import copy
import pickle

from skmdn._sklearn import EpochCallbacks


def without_unpicklable_callback(state):
    """State of a fitted estimator to pickle: a callback is of no use to predictions."""
    callback = state.get("callback")
    if callback is not None:
        try:
            pickle.dumps(callback)
        except Exception:  # Of many kinds, whatever the callback holds.
            return {**state, "callback": None}
    return state


class Watch:
    """Called after every epoch; a context manager around the training.

    Parameters
    ----------
    estimator : estimator instance
        Being fitted; not changed. Its parameters `verbose` and `callback` apply.
    table : Table
        What it is fitted to.
    model : Model
    max_iter : int
    describe : callable
        ``describe(params, losses, scores)`` returns the fitted attributes; losses and
        scores are those of the scaled targets.
    """

    def __init__(self, estimator, table, model, max_iter, describe):
        self._estimator = estimator
        self._table = table
        self._log_jacobian = model.scaling.log_jacobian
        self._max_iter = max_iter
        self._describe = describe
        self._losses, self._scores = [], []
        self._bar = self._callbacks = None

    def __enter__(self):
        self._callbacks = EpochCallbacks(self._estimator, self._max_iter, self._table)
        if self._estimator.verbose:
            from tqdm.auto import tqdm  # Imported here: most fits show no bar.

            name = type(self._estimator).__name__
            self._bar = tqdm(total=self._max_iter, desc=name, unit="epoch")
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()

    @property
    def reads_params(self):
        """Whether somebody may look at the parameters of every epoch.

        The progress bar does not: without others, engines may report late.
        """
        return self._estimator.callback is not None or self._callbacks.are_any

    def __call__(self, epoch):
        """Tell everybody about an `Epoch`; return whether somebody asks to stop."""
        self._losses.append(epoch.loss)
        shown = {"loss": epoch.loss + self._log_jacobian, "validation_score": None}
        if epoch.validation_score is not None:
            self._scores.append(epoch.validation_score)
            shown["validation_score"] = epoch.validation_score - self._log_jacobian
        if self._bar is not None:
            numbers = {name: f"{x:.3f}" for name, x in shown.items() if x is not None}
            self._bar.set_postfix(numbers, refresh=False)
            self._bar.update()

        def attributes():
            return self._describe(epoch.params.copy(), self._losses, self._scores)

        def estimator_copy():
            fitted = copy.copy(self._estimator)
            vars(fitted).update(attributes())
            return fitted

        stop = self._callbacks.end_epoch(attributes)
        if self._estimator.callback is not None:
            stop |= bool(self._estimator.callback(epoch.epoch, shown, estimator_copy))
        return stop

    def end(self, attributes):
        """Tell scikit-learn's callbacks that the fit ended with these attributes."""
        self._callbacks.end_fit(lambda: attributes)


class FitsWatch:
    """Called after every fit of a network by `cross_fit`; a context manager around it.

    Parameters
    ----------
    estimator : MDNRegressorCV
        Being fitted; not changed. Its parameters `verbose` and `callback` apply.
    table : Table
        What it is fitted to.
    n_fits : int
        At most.
    n_candidates : int
        The one behind the last is the linear model.
    network : callable
        ``network(trial)`` returns its network as a fitted estimator.
    """

    def __init__(self, estimator, table, n_fits, n_candidates, network):
        self._estimator = estimator
        self._table = table
        self._n_fits = n_fits
        self._n_candidates = n_candidates
        self._network = network
        self._fit = 0
        self._bar = self._callbacks = None

    def __enter__(self):
        name = "network"
        self._callbacks = EpochCallbacks(
            self._estimator, self._n_fits, self._table, name
        )
        if self._estimator.verbose:
            from tqdm.auto import tqdm  # Imported here: most fits show no bar.

            kind = type(self._estimator).__name__
            self._bar = tqdm(total=self._n_fits, desc=kind, unit="fit")
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()

    def __call__(self, trial, candidate, split):
        """Tell everybody about a `Trial`; return whether somebody asks to stop."""
        self._fit += 1
        if self._bar is not None:
            self._bar.update()
        stop = self._callbacks.end_epoch(lambda: None)
        if self._estimator.callback is not None:
            shown = {
                "candidate": candidate if candidate < self._n_candidates else None,
                "split": split,
                "loss": trial.losses[-1],
                "validation_score": trial.scores[-1],
            }
            callback = self._estimator.callback
            stop |= bool(callback(self._fit, shown, lambda: self._network(trial)))
        return stop

    def end(self, attributes):
        """Tell scikit-learn's callbacks that the fit ended with these attributes."""
        self._callbacks.end_fit(lambda: attributes)
