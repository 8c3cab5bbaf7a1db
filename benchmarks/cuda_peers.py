# SPDX-License-Identifier: BSD-3-Clause
"""The same mixture density networks on a GPU by PyTorch and JAX; see bench_cuda.py.

    python benchmarks/cuda_peers.py KIND '{"n_networks": 300, "n_rows": 10000, ...}'

It runs as a program in the interpreter of a peer, which need not have skmdn, and prints
one JSON object: seconds of an epoch of all networks, and the version. Data lies on the
device; compilation, capture and the first epoch are not timed; no peer judges held-out
rows, clips gradients or encodes its inputs.
"""

import json
import math
import sys
import time
from itertools import pairwise

import numpy as np

N_INPUTS, N_COMPONENTS, RATE = 10, 5, 1e-3


def make_data(n_rows):
    """Two branches."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_INPUTS), dtype=np.float32)
    branch = np.where(rng.random(n_rows) < 0.5, 1, -1)
    noise = rng.standard_normal(n_rows)
    return X, (np.sin(2 * X[:, 0]) + branch + 0.1 * noise).astype(np.float32)


class Torch:
    """Modules, fused Adam, one call a batch, one network after the other."""

    def __init__(self, n_networks, n_rows, hidden, batch):
        import torch

        self.torch, self.n_networks, self.batch = torch, n_networks, batch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.X, self.y = (
            torch.from_numpy(a).to(self.device) for a in make_data(n_rows)
        )
        sizes = [N_INPUTS, *hidden, 3 * N_COMPONENTS]
        layers = []
        for n_in, n_out in pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.SiLU()]
        self.network = torch.nn.Sequential(*layers[:-1]).to(self.device)
        # Captured, Adam must keep its count of steps on the device.
        kind = {"fused": True, "capturable": self.device == "cuda"}
        self.adam = torch.optim.Adam(self.network.parameters(), lr=RATE, **kind)
        self.version = f"torch {torch.__version__}, {self.device}"

    def loss(self, X, y):
        """Mean negative log-likelihood of a batch."""
        torch = self.torch
        logits, means, log_scales = self.network(X).split(N_COMPONENTS, 1)
        z = (y[:, None] - means) * torch.exp(-log_scales)
        terms = torch.log_softmax(logits, 1) - log_scales - 0.5 * z * z
        return 0.5 * math.log(2 * math.pi) - torch.logsumexp(terms, 1).mean()

    def step(self, rows):
        """Descend by one batch."""
        self.adam.zero_grad(set_to_none=True)
        self.loss(self.X[rows], self.y[rows]).backward()
        self.adam.step()

    def epoch(self):
        """Train one network on every row once."""
        order = self.torch.randperm(len(self.X), device=self.device)
        n = len(order) // self.batch * self.batch or len(order)
        for rows in order[:n].split(self.batch):
            self.step(rows)
        if self.device == "cuda":
            self.torch.cuda.synchronize()
        return n / len(order)

    def seconds(self):
        """Of an epoch of all networks: of one, as many times as there are."""
        self.epoch()
        start = time.perf_counter()
        share = self.epoch()
        return (time.perf_counter() - start) / share * self.n_networks


class TorchGraph(Torch):
    """The same, every step a replay of a captured graph."""

    def __init__(self, n_networks, n_rows, hidden, batch):
        super().__init__(n_networks, n_rows, hidden, batch)
        if self.device != "cuda":
            raise RuntimeError("graphs need a GPU")
        torch = self.torch
        self.rows = torch.arange(min(batch, n_rows), device="cuda")
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                super().step(self.rows)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            super().step(self.rows)

    def step(self, rows):
        """Descend by one batch."""
        self.rows.copy_(rows)
        self.graph.replay()


class JaxVmap:
    """All networks at once: a compiled scan over the steps of vmapped updates."""

    def __init__(self, n_networks, n_rows, hidden, batch):
        import jax
        import optax

        self.jax = jax
        X, y = map(jax.numpy.asarray, make_data(n_rows))
        adam = optax.adam(RATE)

        def step(carry, rows):
            def descend(layers, moments, rows):
                gradient = jax.grad(self.loss)(layers, X[rows], y[rows])
                update, moments = adam.update(gradient, moments)
                return optax.apply_updates(layers, update), moments

            return jax.vmap(descend)(*carry, rows), None

        def epoch(carry, key):
            keys = jax.random.split(key, n_networks)
            order = jax.vmap(lambda k: jax.random.permutation(k, n_rows))(keys)
            size = min(batch, n_rows)
            order = order[:, : n_rows // size * size].reshape(n_networks, -1, size)
            return jax.lax.scan(step, carry, order.swapaxes(0, 1))[0]

        sizes = [N_INPUTS, *hidden, 3 * N_COMPONENTS]
        rng = np.random.default_rng(0)
        layers = [
            (
                rng.standard_normal((n_networks, m, n), np.float32) / math.sqrt(m),
                np.zeros((n_networks, n), np.float32),
            )
            for m, n in pairwise(sizes)
        ]
        layers = jax.device_put(layers)
        self.carry = layers, jax.vmap(adam.init)(layers)
        self.epoch = jax.jit(epoch, donate_argnums=0)
        self.share = n_rows // min(batch, n_rows) * min(batch, n_rows) / n_rows
        self.version = f"jax {jax.__version__}, {jax.devices()[0].device_kind}"

    def loss(self, layers, X, y):
        """Mean negative log-likelihood of a batch."""
        jax = self.jax
        for weights, bias in layers[:-1]:
            X = jax.nn.silu(X @ weights + bias)
        weights, bias = layers[-1]
        logits, means, log_scales = jax.numpy.split(X @ weights + bias, 3, axis=1)
        z = (y[:, None] - means) * jax.numpy.exp(-log_scales)
        terms = jax.nn.log_softmax(logits) - log_scales - 0.5 * z * z
        return 0.5 * math.log(2 * math.pi) - jax.nn.logsumexp(terms, axis=1).mean()

    def seconds(self):
        """Of an epoch of all networks."""
        for key in range(2):  # The first compiles.
            start = time.perf_counter()
            self.carry = self.epoch(self.carry, self.jax.random.key(key))
            self.jax.block_until_ready(self.carry)
        return (time.perf_counter() - start) / self.share


PEERS = {"torch": Torch, "torch-graph": TorchGraph, "jax-vmap": JaxVmap}


def main(kind, shape):
    try:
        peer = PEERS[kind](**json.loads(shape))
        answer = {"seconds": peer.seconds(), "version": peer.version}
    except Exception as error:  # Whatever is wrong over there: a peer left out.
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
