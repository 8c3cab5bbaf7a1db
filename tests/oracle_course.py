# SPDX-License-Identifier: BSD-3-Clause
"""What a job's training must come to, by the oracle in float64."""

import naive
import numpy as np

from skmdn._engine.layout import BIAS, N_IN, N_OUT, N_PAD, WEIGHT


def oracle_course(job):
    """Losses and scores of every epoch of a job for one perceptron."""
    network, options = job.network, job.options
    data, held_out = job.training, job.validation
    head, weight = network.head, data.sample_weight
    start = job.state.params.astype(float)
    mixture = {
        "n_components": head.n_components,
        "n_scales": head.n_scales,
        "min_scale": options.min_scale,
        "family": network.family.name,
    }
    losses, history = naive.train(
        layers_of(network.layout, start), data.X, data.Y, weight / np.mean(weight),
        encode=lambda x: job.encoding.encode(np.array([x]))[0],
        name=network.activation, seed=job.seed, n_epochs=options.max_iter,
        batch_size=options.batch_size, rate=options.learning_rate_init,
        alpha=options.alpha, noise=options.input_noise, **mixture,
    )  # fmt: skip
    inputs = job.encoding.encode(held_out.X)
    scores = []
    for layers in history:
        logpdf = [
            naive.mixture_logpdf(
                naive.head_outputs(x, layers, network.activation), y, **mixture
            )
            for x, y in zip(inputs, held_out.Y, strict=True)
        ]
        scores.append(np.average(logpdf, weights=held_out.sample_weight))
    return losses, scores


def layers_of(layout, params):
    """Layers [(W, b), ...] in the parameters of one perceptron."""
    layers = []
    for layer in layout.layers:
        n_out, n_pad = layer[N_OUT], layer[N_PAD]
        W = params[layer[WEIGHT] :][: n_out * n_pad].reshape(n_out, n_pad)
        layers.append((W[:, : layer[N_IN]], params[layer[BIAS] :][:n_out]))
    return layers
