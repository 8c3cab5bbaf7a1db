# SPDX-License-Identifier: BSD-3-Clause
"""Correlated outputs: known truth, real tables, and the time of an epoch.

    python benchmarks/bench_joint.py [--data FOLDER] [--python torch=PATH]

Known truth: `make_correlated`, 5000 rows: what is lost to the true density, and what is
gained before "diag", as a part of the mutual information of the outputs.
Real tables (--data): log-likelihood of the test rows of 5 splits.
Time (--python torch=PATH, an interpreter with PyTorch): CPU seconds of an epoch of the
same network, 8 outputs and 5 components of full covariance, on one thread; PyTorch runs
eagerly, with MixtureSameFamily(MultivariateNormal). This file runs there as a program.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

N, N_INPUTS, N_OUTPUTS, N_COMPONENTS, UNITS, BATCH = 20_480, 10, 8, 5, 64, 256
N_EPOCHS, RATE = 5, 1e-3
TYPES = ("diag", "full", "tied")
TABLES = ("carbon", "energy2", "geyser2")
MUTUAL = 0.421  # information of neighbouring outputs of make_correlated, in nats


def make_data():
    """Rows of correlated outputs, in float32."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, N_INPUTS))
    mix = rng.standard_normal((N_OUTPUTS, N_OUTPUTS))
    Y = np.sin(X[:, :N_OUTPUTS]) + 0.3 * rng.standard_normal((N, N_OUTPUTS)) @ mix
    return X.astype(np.float32), Y.astype(np.float32)


def seconds_of_torch():
    """CPU seconds of every epoch of the same network in PyTorch."""
    import torch
    from torch import nn
    from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

    torch.set_num_threads(1)
    torch.manual_seed(0)
    K, D = N_COMPONENTS, N_OUTPUTS
    lower = torch.tril_indices(D, D, -1)
    sizes = K, K * D, K * D, K * lower.shape[1]
    X, Y = map(torch.from_numpy, make_data())
    network = nn.Sequential(
        *(nn.Linear(N_INPUTS, UNITS), nn.Tanh(), nn.Linear(UNITS, UNITS), nn.Tanh()),
        nn.Linear(UNITS, sum(sizes)),
    )
    adam = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)

    def loss(X, Y):
        logits, means, log_scales, below = network(X).split(sizes, 1)
        tril = torch.diag_embed(log_scales.view(-1, K, D).exp())
        tril[:, :, lower[0], lower[1]] = below.view(-1, K, lower.shape[1])
        normal = MultivariateNormal(
            means.view(-1, K, D), scale_tril=tril, validate_args=False
        )
        mixture = MixtureSameFamily(
            Categorical(logits=logits), normal, validate_args=False
        )
        return -mixture.log_prob(Y).mean()

    def epoch():
        for rows in torch.randperm(N).split(BATCH):
            adam.zero_grad(set_to_none=True)
            loss(X[rows], Y[rows]).backward()
            adam.step()

    ends = []
    for _ in range(N_EPOCHS + 1):
        epoch()
        ends.append(time.process_time())
    return np.diff(ends).tolist(), torch.__version__


def seconds_of_skmdn():
    """CPU seconds of every epoch of the engine alone."""
    from skmdn._engine import get_engine
    from skmdn._engine.job import Data, Job, Options, State
    from skmdn._engine.network import Network
    from skmdn._families import FAMILIES
    from skmdn._families.head import Head
    from skmdn._fit.inputs import InputEncoding

    X, Y = (part.astype(float) for part in make_data())
    data = Data(X, Y, np.ones(N))
    head = Head.of(N_COMPONENTS, N_OUTPUTS, "full")
    hidden, family = (UNITS, UNITS), FAMILIES["gaussian"]
    network = Network(N_INPUTS, N_INPUTS, hidden, head, family, 1, "tanh")
    rng = np.random.RandomState(0)
    bias = head.initial_bias(data.Y, data.sample_weight, rng)
    options = Options(
        learning_rate_init=RATE,
        batch_size=BATCH,
        max_iter=N_EPOCHS + 1,
        alpha=0.0,
        input_noise=0.0,
        min_scale=np.full(N_OUTPUTS, 1e-3),
    )
    ends = []
    job = Job(
        network=network,
        encoding=InputEncoding.fit(X, data.sample_weight, n_bins=0),
        training=data,
        validation=None,
        options=options,
        state=State.start(network.initialise(bias, rng)),
        seed=0,
        on_epoch=lambda epoch: ends.append(time.process_time()),
    )
    list(get_engine("cpu", 1).run([job]))
    return np.diff(ends).tolist()


def print_times(python):
    """Both in one run, one after the other, and again."""
    command = [python, __file__, "--peer"]
    ours, theirs = [], []
    for _ in range(2):
        ours += seconds_of_skmdn()
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, version = json.loads(output.stdout)
        theirs += seconds
    ours, theirs = np.median(ours), np.median(theirs)
    print(
        f"epoch of {N} rows, D = {N_OUTPUTS}, K = {N_COMPONENTS}: skmdn {ours:.3f} s, "
        f"torch {version} {theirs:.3f} s: {theirs / ours:.1f} times"
    )


def print_truth():
    """Losses to the truth, and gains before "diag" in parts of the information."""
    from skmdn import MDNRegressor
    from skmdn.datasets import make_correlated

    for n_outputs in (2, 3):
        X, Y = make_correlated(5000, n_outputs, random_state=0)
        X_test, Y_test, logpdf = make_correlated(
            10_000, n_outputs, return_density=True, random_state=1
        )
        truth = logpdf(X_test, Y_test).mean()
        for n_components in (1, 8):
            line, diag = f"make_correlated, D = {n_outputs}, K = {n_components}:", None
            for kind in TYPES:
                mdn = MDNRegressor(n_components, covariance_type=kind, random_state=0)
                score = mdn.fit(X, Y).score(X_test, Y_test)
                diag = score if diag is None else diag
                gain = (score - diag) / (MUTUAL * (n_outputs - 1))
                line += f"  {kind} loses {truth - score:.3f} gains {gain:.2f}"
            print(line, flush=True)


def print_tables(folder):
    """Log-likelihoods of the test rows of 5 splits."""
    from skmdn import MDNRegressor

    for name in TABLES:
        with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as data:
            X, Y, test_mask = (data[key] for key in ("X", "y", "test_mask"))
        line = f"{name}:"
        for kind in TYPES:
            scores = []
            for test in test_mask[:5]:
                mdn = MDNRegressor(covariance_type=kind, random_state=0)
                scores.append(mdn.fit(X[~test], Y[~test]).score(X[test], Y[test]))
            each = " ".join(f"{score:.2f}" for score in scores)
            line += f"  {kind} {np.mean(scores):.3f} ({each})"
        print(line, flush=True)


def main():
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--python", help="torch=PATH: interpreter with PyTorch")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(seconds_of_torch()))
        return
    print_truth()
    if options.data:
        print_tables(options.data)
    if options.python:
        print_times(options.python.removeprefix("torch="))


if __name__ == "__main__":
    sys.exit(main())
