# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution against NumPy and SciPy, and what predictions cost; on one core.

Each method is compared with what one would write in NumPy and SciPy with some care:
whole arrays, no Python loop over rows. Results are checked for equality first. Prints
nanoseconds a row, the ratio, and the memory that a call takes on top, in units of its
result.

Then the predictions of both estimators, in microseconds of CPU time a row for calls of
some numbers of rows, with what is slow for many components; and the peak of the memory
that a call takes on top of its result, in MB.

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

from skmdn import MDNRegressor, MDNRegressorCV, MixtureDistribution

_REPEATS = 7
_BRENTQ_ROWS = 500
_ROWS = (1, 1000, 100_000)
_QUANTILES = [[0.05, 0.5, 0.95]]


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


def cpu_seconds(func):
    """Median of as many calls as go into half a second, at least one, after a first."""
    func()
    times = []
    while not times or (sum(times) < 0.5 and len(times) < 1000):
        start = time.thread_time()
        func()
        times.append(time.thread_time() - start)
    return np.median(times)


def peak_memory(func):
    """Bytes at the peak of a call, and its result."""
    tracemalloc.start()
    result = func()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, result


def memory(func):
    """Memory of a call in units of its result."""
    peak, result = peak_memory(func)
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


def table(n_rows, n_outputs=1):
    """Two branches, or as many outputs."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(n_rows, 4))
    noise = rng.normal(size=(n_rows, n_outputs)) * (0.1 + 0.1 * X[:, 1:2] ** 2)
    branch = np.where(rng.uniform(size=n_rows) < 0.5, 1, 0)
    Y = np.sin(3 * X[:, :n_outputs]) + branch[:, None] + noise
    return X, Y[:, 0] if n_outputs == 1 else Y


def predictions(mdn, X, y):
    """Calls by their names."""
    return {
        "predict": lambda: mdn.predict(X),
        "predict_dist": lambda: mdn.predict_dist(X),
        "logpdf": lambda: mdn.logpdf(X, y),
        "sample": lambda: mdn.sample(X, random_state=0),
        "quantiles": lambda: mdn.predict_dist(X).ppf(_QUANTILES),
    }


def print_predictions(name, mdn):
    """Costs of a row, for every number of rows."""
    X, y = table(max(_ROWS))
    costs = [
        {call: cpu_seconds(f) / n for call, f in predictions(mdn, X[:n], y[:n]).items()}
        for n in _ROWS
    ]
    print(f"\n{name + ', us a row':30}" + "".join(f"{n:>10} rows" for n in _ROWS))
    for call in costs[0]:
        print(f"{call:30}" + "".join(f"{cost[call] * 1e6:15.3f}" for cost in costs))


def print_summaries(name, dist):
    """Costs of a row of what is slow for many components."""
    y = dist.sample(random_state=0)
    summaries = {"mode": dist.mode, "reduce(8)": lambda: dist.reduce(8)}
    if dist.n_outputs == 1:
        summaries["hdr"] = dist.hdr
    else:
        summaries["energy_score"] = lambda: dist.energy_score(y)
    print(f"\n{name}, {dist.n_components} components, ms a row")
    for call, func in summaries.items():
        print(f"{call:30}{cpu_seconds(func) / len(dist) * 1e3:15.3f}")


def print_memory(name, mdn, n_rows):
    """Peaks beyond the results."""
    X, y = table(n_rows)
    calls = predictions(mdn, X, y) | {"score": lambda: mdn.score(X, y)}
    print(f"\n{name}, {n_rows} rows: MB beyond the result")
    for call in ("predict", "sample", "logpdf", "score"):
        peak, result = peak_memory(calls[call])
        print(f"{call:30}{(peak - np.asarray(result).nbytes) / 1e6:15.1f}")


def print_estimators():
    """Fit both estimators, then time them."""
    network, ensemble, joint = (
        mdn.set_params(random_state=0, max_iter=50).fit(*table(1000, n_outputs))
        for mdn, n_outputs in (
            (MDNRegressor(), 1),
            (MDNRegressorCV(), 1),
            (MDNRegressorCV(), 2),
        )
    )
    print_predictions("MDNRegressor", network)
    print_predictions("MDNRegressorCV", ensemble)
    X, _ = table(50)
    print_summaries("MDNRegressorCV", ensemble.predict_dist(X))
    print_summaries("MDNRegressorCV, two outputs", joint.predict_dist(X))
    print_memory("MDNRegressor", network, 1_000_000)
    print_memory("MDNRegressorCV", ensemble, 200_000)


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
    print_estimators()


if __name__ == "__main__":
    main()
