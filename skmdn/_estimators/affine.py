# SPDX-License-Identifier: BSD-3-Clause
"""Transformers of targets that keep a mixture of Gaussians one: the affine ones."""

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)


def inverse_affine(transformer):
    """Scale and shift of ``inverse_transform``, one for each column or one for all.

    Only the classes themselves: a subclass may have changed what they do.

    Raises
    ------
    TypeError
        For every other transformer.
    """
    kind = type(transformer)
    if kind is Pipeline:
        scale, shift = 1.0, 0.0
        for _, step in transformer.steps:
            if step not in (None, "passthrough"):
                step_scale, step_shift = inverse_affine(step)
                scale, shift = scale * step_scale, scale * step_shift + shift
        return scale, shift
    if kind is StandardScaler:
        return (
            transformer.scale_ if transformer.with_std else 1.0,
            transformer.mean_ if transformer.with_mean else 0.0,
        )
    if kind is RobustScaler:
        return (
            transformer.scale_ if transformer.with_scaling else 1.0,
            transformer.center_ if transformer.with_centering else 0.0,
        )
    # Clipping is not affine; MaxAbsScaler can do it in some versions of scikit-learn.
    if kind in (MaxAbsScaler, MinMaxScaler) and not getattr(transformer, "clip", False):
        if kind is MaxAbsScaler:
            return transformer.scale_, 0.0
        return 1.0 / transformer.scale_, -transformer.min_ / transformer.scale_
    if kind is FunctionTransformer and transformer.func is None:
        if transformer.inverse_func is None:
            return 1.0, 0.0
    raise TypeError(
        "The transformer of a TransformedTargetRegressor must be affine for the "
        "distribution to be a mixture of Gaussians: a StandardScaler, MinMaxScaler or "
        "MaxAbsScaler (without clip), RobustScaler, or a Pipeline of these. Quantiles "
        "pass through every increasing function: model.predict(X, "
        'output_type="quantiles", quantiles=[0.05, 0.5, 0.95]) gives them in the units '
        'of y, output_type="median" the median. For densities fit the model to the '
        f"transformed y yourself. Got {transformer}."
    )
