# SPDX-License-Identifier: BSD-3-Clause
"""Log-likelihood by epoch."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmdn.inspection._style import BLUE, ORANGE, legend_above, one_axes, title_above


class TrainingCurveDisplay:
    """Training and validation log-likelihood after every epoch.

    See `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iter,), or list of such
        Negative log-likelihood of the training rows during every epoch, in nats per
        row; a list has one for every fold.
    validation_scores : array-like of shape (n_iter,), or list of such, default=None
        Log-likelihood of the held-out rows after every epoch, in nats per row.

    Attributes
    ----------
    training_line_ : Line2D
        Log-likelihood of the training rows, of all folds in one line with gaps.
    validation_line_ : Line2D or None
        Log-likelihood of the held-out rows.
    best_marker_ : Line2D or None
        The epochs with the best validation scores, whose parameters are kept.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    Examples
    --------
    >>> from skmdn.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([2.0, 1.5, 1.2], [-1.9, -1.6, -1.7]).plot()
    """

    def __init__(self, loss_curve: Any, validation_scores: Any = None) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw from a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor` or `MDNRegressorCV`, or pipeline or search around one.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If there is no estimator with a loss curve inside.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        network = _innermost(estimator)
        if not hasattr(network, "loss_curve_"):
            raise TypeError(
                f"{type(network).__name__} has no loss_curve_: expected a fitted "
                "MDNRegressor or MDNRegressorCV, or a pipeline or search around one."
            )
        scores = getattr(network, "validation_scores_", None)
        return cls(network.loss_curve_, scores).plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, line_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        line_kwargs : dict, default=None
            Passed to ``ax.plot`` for both curves.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = one_axes(ax)
        style = {"linewidth": 1.2} | (line_kwargs or {})
        losses = _curves(self.loss_curve)
        epochs = [np.arange(1, len(loss) + 1) for loss in losses]
        (self.training_line_,) = ax.plot(
            _joined(epochs),
            -_joined(losses),
            **({"color": BLUE, "label": "training"} | style),
        )
        self.validation_line_ = self.best_marker_ = None
        if self.validation_scores is not None:
            scores = _curves(self.validation_scores)
            # Scores of a later stage may begin after training without validation rows.
            epochs = [e[len(e) - len(s) :] for e, s in zip(epochs, scores, strict=True)]
            (self.validation_line_,) = ax.plot(
                _joined(epochs),
                _joined(scores),
                **({"color": ORANGE, "label": "validation"} | style),
            )
            best = [
                (e[s.argmax()], s.max()) for e, s in zip(epochs, scores, strict=True)
            ]
            (self.best_marker_,) = ax.plot(
                *np.transpose(best), "o", color=ORANGE, label="best epoch"
            )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel="log-likelihood per row (nats)")
        title_above(ax, "Log-likelihood by epoch", legend_above(ax, n_cols=3))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _curves(values):
    """One curve, or one for every fold, as a list of arrays."""
    curves = [values] if np.ndim(values[0]) == 0 else values
    return [np.asarray(curve, dtype=np.float64) for curve in curves]


def _joined(curves):
    """One array of all curves; nan, which is not drawn, parts them."""
    return np.concatenate([part for c in curves for part in ([np.nan], c)][1:])


def _innermost(estimator):
    """Walk down to the estimator that was trained."""
    while not hasattr(estimator, "loss_curve_"):
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
            continue
        for name in ("best_estimator_", "regressor_", "estimator_"):
            if hasattr(estimator, name):
                estimator = getattr(estimator, name)
                break
        else:
            break
    return estimator
