# SPDX-License-Identifier: BSD-3-Clause
"""The same mixture density network, trained by five libraries; see bench_train.py.

Every trainer is made for a layer size and a batch size, and ``run(n_epochs)`` returns
the CPU seconds of every epoch, shuffling included. Compilation happens when it is made.
This file runs as a program in the interpreter of a peer, which need not have skmdn: one
JSON object a line comes in, one goes out.
"""

import json
import math
import sys
import time
from itertools import pairwise

import numpy as np

N, N_INPUTS, N_COMPONENTS, RATE = 20_480, 10, 5, 1e-3


def make_data():
    """Two branches, in float32; the number of rows is a multiple of every batch."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, N_INPUTS))
    branch = np.where(rng.random(N) < 0.5, 1, -1)
    y = np.sin(2 * X[:, 0]) + branch + 0.1 * rng.standard_normal(N)
    return X.astype(np.float32), y.astype(np.float32)


def timed(epoch, n_epochs):
    """CPU seconds of every epoch."""
    clock = [time.process_time()]
    for _ in range(n_epochs):
        epoch()
        clock.append(time.process_time())
    return np.diff(clock).tolist()


class Skmdn:
    """The engine alone: no input encoding, no validation rows, no weight decay."""

    def __init__(self, hidden, batch, *, n_jobs=1, n_estimators=1):
        from skmdn._engine.job import Data, Options
        from skmdn._engine.network import Network
        from skmdn._families import FAMILIES
        from skmdn._families.head import Head
        from skmdn._fit.inputs import InputEncoding

        X, y = (part.astype(float) for part in make_data())
        self.data = Data(X, y[:, None], np.ones(N))
        self.encoding = InputEncoding.fit(X, self.data.sample_weight, n_bins=0)
        self.options = Options(
            learning_rate_init=RATE,
            batch_size=batch,
            max_iter=1,
            alpha=0.0,
            input_noise=0.0,
            min_scale=np.array([1e-3]),
        )
        self.n_jobs = n_jobs
        head, family = Head.of(N_COMPONENTS, 1, "diag"), FAMILIES["gaussian"]
        self.network = Network(
            *(N_INPUTS, N_INPUTS, (hidden, hidden), head, family, n_estimators, "tanh")
        )
        rng = np.random.RandomState(0)
        bias = head.initial_bias(self.data.Y, self.data.sample_weight, rng)
        self.params = self.network.initialise(bias, rng)
        self.run(1)

    def train(self, options, on_epoch=None):
        """Train from the start."""
        from skmdn._engine import get_engine
        from skmdn._engine.job import Job, State

        state = State.start(self.params.copy())
        rows = (self.data, None, options, state, 0)
        job = Job(self.network, self.encoding, *rows, on_epoch)
        (trial,) = get_engine("cpu", self.n_jobs).run([job])
        return trial

    def run(self, n_epochs, clock=time.process_time):
        """Seconds of every epoch; the buffers are made before the first."""
        ends = []
        options = self.options._replace(max_iter=n_epochs + 1)
        self.train(options, lambda epoch: ends.append(clock()))
        return np.diff(ends).tolist()

    @staticmethod
    def version():
        """What is measured."""
        import numba

        import skmdn

        return f"skmdn {skmdn.__version__}, numba {numba.__version__}"


class Torch:
    """Modules, fused Adam, one call a batch."""

    compiled = False

    def __init__(self, hidden, batch):
        import torch

        self.torch, self.batch = torch, batch
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.X, self.y = map(torch.from_numpy, make_data())
        self.network = torch.nn.Sequential(
            torch.nn.Linear(N_INPUTS, hidden),
            torch.nn.Tanh(),
            torch.nn.Linear(hidden, hidden),
            torch.nn.Tanh(),
            torch.nn.Linear(hidden, 3 * N_COMPONENTS),
        )
        self.adam = torch.optim.Adam(self.network.parameters(), lr=RATE, fused=True)
        self.loss_of = torch.compile(self.loss) if self.compiled else self.loss
        self.run(1)

    def loss(self, X, y):
        """Mean negative log-likelihood of a batch."""
        torch = self.torch
        logits, means, log_scales = self.network(X).split(N_COMPONENTS, 1)
        z = (y[:, None] - means) * torch.exp(-log_scales)
        log_weights = torch.log_softmax(logits, 1)
        terms = log_weights - log_scales - 0.5 * z * z - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(terms, 1).mean()

    def epoch(self):
        """Train on every row once."""
        for rows in self.torch.randperm(N).split(self.batch):
            loss = self.loss_of(self.X[rows], self.y[rows])
            self.adam.zero_grad(set_to_none=True)
            loss.backward()
            self.adam.step()

    def run(self, n_epochs):
        """CPU seconds of every epoch."""
        return timed(self.epoch, n_epochs)

    @staticmethod
    def version():
        """What is measured."""
        import torch

        return f"torch {torch.__version__}"


class TorchCompiled(Torch):
    """The same with the loss compiled."""

    compiled = True


class Jax:
    """One compiled scan over all batches of an epoch."""

    def __init__(self, hidden, batch):
        import jax
        import optax

        X, y = map(jax.numpy.asarray, make_data())
        adam = optax.adam(RATE)

        def step(carry, rows):
            layers, moments = carry
            loss, gradient = jax.value_and_grad(self.loss)(layers, X[rows], y[rows])
            update, moments = adam.update(gradient, moments)
            return (optax.apply_updates(layers, update), moments), loss

        scan = jax.jit(lambda carry, rows: jax.lax.scan(step, carry, rows))
        layers = self.start(hidden)
        carry = (layers, adam.init(layers))
        rng = np.random.default_rng(0)

        def epoch():
            nonlocal carry
            carry, losses = scan(carry, rng.permutation(N).reshape(-1, batch))
            losses.block_until_ready()

        self.epoch = epoch
        self.run(1)

    @staticmethod
    def start(hidden):
        """Weights and biases of every layer."""
        rng = np.random.default_rng(0)
        sizes = [N_INPUTS, hidden, hidden, 3 * N_COMPONENTS]
        return [
            (
                (rng.standard_normal((m, n)) / math.sqrt(m)).astype(np.float32),
                np.zeros(n, dtype=np.float32),
            )
            for m, n in pairwise(sizes)
        ]

    @staticmethod
    def loss(layers, X, y):
        """Mean negative log-likelihood of a batch."""
        import jax

        for weights, bias in layers[:-1]:
            X = jax.numpy.tanh(X @ weights + bias)
        weights, bias = layers[-1]
        logits, means, log_scales = jax.numpy.split(X @ weights + bias, 3, axis=1)
        z = (y[:, None] - means) * jax.numpy.exp(-log_scales)
        log_weights = jax.nn.log_softmax(logits)
        terms = log_weights - log_scales - 0.5 * z * z - 0.5 * math.log(2 * math.pi)
        return -jax.nn.logsumexp(terms, axis=1).mean()

    def run(self, n_epochs):
        """CPU seconds of every epoch."""
        return timed(self.epoch, n_epochs)

    @staticmethod
    def version():
        """What is measured."""
        import jax

        return f"jax {jax.__version__}"


class Mlp:
    """scikit-learn's MLPRegressor: one output, squared error, so less work."""

    def __init__(self, hidden, batch):
        from sklearn.neural_network import MLPRegressor

        self.X, self.y = make_data()
        self.network = MLPRegressor(
            hidden_layer_sizes=(hidden, hidden),
            activation="tanh",
            batch_size=batch,
            alpha=0.0,
            learning_rate_init=RATE,
            random_state=0,
        )
        self.run(1)

    def run(self, n_epochs):
        """CPU seconds of every epoch."""
        return timed(lambda: self.network.partial_fit(self.X, self.y), n_epochs)

    @staticmethod
    def version():
        """What is measured."""
        import sklearn

        return f"scikit-learn {sklearn.__version__}"


TRAINERS = {
    "skmdn": Skmdn,
    "jax": Jax,
    "torch": Torch,
    "torch-compiled": TorchCompiled,
    "mlp": Mlp,
}


def serve(kind):
    """Answer ``{"make": [hidden, batch]}`` and ``{"run": n_epochs}`` line by line."""
    answers, sys.stdout = sys.stdout, sys.stderr  # Libraries may print.
    trainer = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "make" in request:
                trainer = TRAINERS[kind](*request["make"])
                answer = {"version": trainer.version()}
            else:
                answer = {"seconds": trainer.run(request["run"])}
        except Exception as error:  # Whatever is wrong over there: a peer left out.
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
