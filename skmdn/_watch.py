# SPDX-License-Identifier: BSD-3-Clause
"""Watching a training: the progress bar and the callbacks, epoch by epoch."""

import copy

from skmdn._sklearn import EpochCallbacks


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
