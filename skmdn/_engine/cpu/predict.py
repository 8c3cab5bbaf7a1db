# SPDX-License-Identifier: BSD-3-Clause
"""Outputs of the heads for new rows."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cpu.data import as_bins, as_rows
from skmdn._engine.cpu.epoch import make_raw_outputs
from skmdn._engine.cpu.plan import make_plan
from skmdn._engine.network import aligned_copy
from skmdn._jit.memory import aligned


def raw_outputs(network, params, encoding, Xs, n_jobs=1):
    """Head outputs in float64, the same bits for a row whatever its companions.

    Parameters
    ----------
    network : Network
    params : ndarray of shape (n_params,)
    encoding : InputEncoding
    Xs : ndarray of shape (n_samples, n_features), ``encoding.scale_inputs(X)``
    n_jobs : int, default=1

    Returns
    -------
    raw : ndarray of shape (n_estimators, n_head, n_samples)
    """
    plan, n = make_plan(network.layout), len(Xs)
    members = network.members(aligned_copy(params, np.float64))
    rows = as_rows(Xs, np.zeros((n, plan.n_outputs)), np.ones(n), np.float64)
    team = max(1, min(n_jobs, n))
    workspace = aligned(team * plan.workspace_size, np.float64)
    out = np.empty((plan.n_members, plan.n_head, n))
    arguments = (plan, as_bins(encoding, np.float64), rows, members, workspace, out)
    _run_threads(make_raw_outputs(ACTIVATIONS[network.activation]), team, arguments)
    return out


def _run_threads(kernel, n_threads, arguments):
    """Call ``kernel(thread, n_threads, *arguments)`` in all threads; wait for them."""
    if n_threads == 1:
        return kernel(0, 1, *arguments)
    with ThreadPoolExecutor(n_threads) as executor:
        calls = [
            executor.submit(kernel, thread, n_threads, *arguments)
            for thread in range(n_threads)
        ]
    return [call.result() for call in calls]
