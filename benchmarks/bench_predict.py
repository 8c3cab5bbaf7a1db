# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution against NumPy and SciPy, on one core.

Each method is compared with what one would write in NumPy and SciPy with some care:
whole arrays, no Python loop over rows. Results are checked for equality first. Prints
nanoseconds a row, the ratio, and the memory that a call takes on top, in units of its
result.

    python benchmarks/bench_predict.py [--rows 100000] [--components 5]
"""

import argparse
import os
import platform
import time
import tracemalloc

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numba
import numpy as np
import scipy
from scipy import special
from scipy.optimize import brentq

from skmdn import MixtureDistribution

_REPEATS = 7
_BRENTQ_ROWS = 500


def parameters(n_rows, n_components):
    rng = np.random.RandomState(0)
    shape = (n_rows, n_components)
    weights = rng.dirichlet(np.ones(n_components), n_rows)
    return weights, 2 * rng.normal(size=shape), np.exp(0.7 * rng.normal(size=shape))


def numpy_logpdf(weights, means, scales, y):
    z = (y[:, None] - means) / scales
    terms = np.log(weights / scales) - 0.5 * z * z
    best = terms.max(axis=1)
    total = np.exp(terms - best[:, None]).sum(axis=1)
    return best + np.log(total) - 0.5 * np.log(2 * np.pi)


def numpy_cdf(weights, means, scales, y):
    return np.einsum("nk,nk->n", weights, special.ndtr((y[:, None] - means) / scales))


def grid_ppf(weights, means, scales, q, n_grid=512, block=2000):
    """Invert the distribution function on a grid, linearly: exact to about 1e-5."""
    z = special.ndtri(q)
    low, high = (means + scales * (z - 1)).min(1), (means + scales * (z + 1)).max(1)
    found = np.empty(len(means))
    for start in range(0, len(means), block):
        rows = slice(start, start + block)
        grid = np.linspace(low[rows], high[rows], n_grid, axis=1)
        x = (grid[:, :, None] - means[rows, None]) / scales[rows, None]
        cdf = np.einsum("nk,nmk->nm", weights[rows], special.ndtr(x))
        i = np.clip((cdf < q).sum(axis=1), 1, n_grid - 1)
        at = np.arange(len(i))
        share = (q - cdf[at, i - 1]) / (cdf[at, i] - cdf[at, i - 1])
        found[rows] = grid[at, i - 1] + share * (grid[at, i] - grid[at, i - 1])
    return found


def brentq_ppf(weights, means, scales, q):
    found, z = np.empty(len(means)), special.ndtri(q)
    for row, (w, m, s) in enumerate(zip(weights, means, scales, strict=True)):

        def excess(x, w=w, m=m, s=s):
            return w @ special.ndtr((x - m) / s) - q

        ends = m + s * z
        found[row] = brentq(excess, ends.min() - 1e-9, ends.max() + 1e-9, xtol=1e-13)
    return found


def numpy_crps(weights, means, scales, y):
    def distance(m, s):
        z = m / s
        bell = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
        return m * (2 * special.ndtr(z) - 1) + 2 * s * bell

    score = np.einsum("nk,nk->n", weights, distance(y[:, None] - means, scales))
    i, j = np.triu_indices(means.shape[1], 1)
    scale = np.hypot(scales[:, i], scales[:, j])
    pairs = distance(means[:, i] - means[:, j], scale)
    score -= np.einsum("np,np->n", weights[:, i] * weights[:, j], pairs)
    return score - np.einsum("nk,nk->n", weights**2, scales) / np.sqrt(np.pi)


def numpy_sample(weights, means, scales, rng):
    u = rng.random((len(means), 1))
    chosen = (u > np.cumsum(weights, axis=1)[:, :-1]).sum(axis=1)
    rows = np.arange(len(means))
    noise = rng.standard_normal(len(means))
    return means[rows, chosen] + scales[rows, chosen] * noise


def seconds(func):
    func()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        func()
        times.append(time.perf_counter() - start)
    return min(times)


def memory(func):
    tracemalloc.start()
    result = func()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / result.nbytes


def check(dist, parts, y, rng):
    np.testing.assert_allclose(dist.logpdf(y), numpy_logpdf(*parts, y), rtol=1e-9)
    np.testing.assert_allclose(dist.cdf(y), numpy_cdf(*parts, y), rtol=1e-9)
    np.testing.assert_allclose(dist.crps(y), numpy_crps(*parts, y), rtol=1e-9)
    few = tuple(part[:_BRENTQ_ROWS] for part in parts)
    for q in (0.5, 0.05):
        expected = brentq_ppf(*few, q)
        np.testing.assert_allclose(dist.ppf(q)[:_BRENTQ_ROWS], expected, atol=1e-9)
        np.testing.assert_allclose(grid_ppf(*few, q), expected, atol=0.05)
    spread = dist.std().mean() / np.sqrt(len(dist))
    for draws in (dist.sample(random_state=0), numpy_sample(*parts, rng)):
        assert abs(np.mean(draws - dist.mean())) < 5 * spread


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--components", type=int, default=5)
    options = parser.parse_args()
    parts = parameters(options.rows, options.components)
    dist = MixtureDistribution(*parts)
    rng = np.random.default_rng(0)
    y = dist.sample(random_state=1)
    check(dist, parts, y, rng)
    print(
        f"{platform.processor() or platform.machine()}, Python "
        f"{platform.python_version()}, NumPy {np.__version__}, SciPy "
        f"{scipy.__version__}, Numba {numba.__version__}"
    )
    print(f"{options.rows} rows, {options.components} components, one core; ns a row")
    few = tuple(part[:_BRENTQ_ROWS] for part in parts)
    contests = [
        ("logpdf", lambda: dist.logpdf(y), lambda: numpy_logpdf(*parts, y)),
        ("cdf", lambda: dist.cdf(y), lambda: numpy_cdf(*parts, y)),
        ("ppf, grid", lambda: dist.ppf(0.05), lambda: grid_ppf(*few, 0.05)),
        ("ppf, brentq", lambda: dist.ppf(0.05), lambda: brentq_ppf(*few, 0.05)),
        ("crps", lambda: dist.crps(y), lambda: numpy_crps(*parts, y)),
        ("sample", dist.sample, lambda: numpy_sample(*parts, rng)),
    ]
    print(f"{'':12}{'skmdn':>10}{'NumPy/SciPy':>14}{'ratio':>8}{'memory':>9}")
    ours = {}
    for name, fast, plain in contests:
        n_plain = len(few[0]) if name.startswith("ppf") else options.rows
        ours[name] = seconds(fast) / options.rows * 1e9
        other = seconds(plain) / n_plain * 1e9
        print(
            f"{name:12}{ours[name]:10.1f}{other:14.1f}{other / ours[name]:8.1f}"
            f"{memory(fast):9.2f}"
        )
    for q in (0.5, 0.05, 1e-12):
        cost = seconds(lambda q=q: dist.ppf(q)) / options.rows * 1e9 / ours["cdf"]
        print(f"ppf({q:g}) costs {cost:.1f} times a cdf")


if __name__ == "__main__":
    main()
