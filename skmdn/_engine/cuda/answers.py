# SPDX-License-Identifier: BSD-3-Clause
"""Answers of fitted networks by the prediction kernels: what the host does.

Everything is computed in float32, in units of the first network's targets; inputs and
answers are float64. Rows go through the device in blocks: the host turns one block's
answers into float64 while the device works on the next.
"""

from typing import Any, NamedTuple

import numpy as np

from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cuda import predict_inputs as at
from skmdn._engine.cuda import predict_mixture as mixing
from skmdn._engine.cuda.device import OutOfMemory, Unavailable, open_gpu
from skmdn._engine.cuda.predict import Tables
from skmdn._engine.cuda.standard import STANDARDS
from skmdn._engine.layout import BIAS, N_IN, N_OUT, N_PAD, WEIGHT

TEAM = 256
_ROWS = (128, 64, 32)  # of a tile; wide networks have room for fewer
# Bytes and rows that go to the device at a time.
_BLOCK_BYTES, _BLOCK_ROWS = 2**26, 2**18
# A CPU has answered for fewer before kernels are compiled.
_FEWEST_ROWS = 100_000
# Centers that are so many scales away from zero leave a pair of float32 no digits.
_FARTHEST = 2.0**32
# Squares of targets stay finite: what is farther away counts as this far.
_LARGEST_TARGET = 1e18
# Of an exponent of float64, what makes it one of float32.
_BIASES = 1023 - 127


class PredictVariant(NamedTuple):
    """What prediction kernels are compiled for."""

    rows: int  # of a tile
    activation: str
    family: Any  # a Family

    team = TEAM

    @property
    def functions(self):
        """Plain functions that kernels call, by name."""
        standard = STANDARDS[self.family.name]
        return {
            "activation": ACTIVATIONS[self.activation],
            "log_density": self.family.log_density,
            "upper_tail": standard.upper_tail,
            "standard_draw": standard.standard_draw,
        }

    @property
    def constants(self):
        """Constants of kernels, see `skmdn._engine.cuda.primitives`."""
        n_uniform = STANDARDS[self.family.name].n_uniform
        return {"ROWS": self.rows, "STRIDE": self.rows + 4, "N_UNIFORM": n_uniform}


class _Table:
    """A table that grows: where the next piece of it begins is known."""

    def __init__(self, dtype):
        self._pieces, self._dtype, self.size = [], dtype, 0

    def add(self, values):
        values = np.asarray(values).ravel().astype(self._dtype)
        start, rest = self.size, -len(values) % 4  # Vectors of four are aligned.
        self._pieces += [values, np.zeros(rest, self._dtype)]
        self.size += len(values) + rest
        return start

    def array(self):
        return np.concatenate(self._pieces)


class _Packed:
    """Networks as the kernels take them.

    Parameters
    ----------
    parts : list of Part
    tail : pair of ndarray of shape (n,)
        See `answer`.
    """

    def __init__(self, parts, tail):
        first = parts[0].model
        self.center, self.unit = first.scaling.center, np.abs(first.scaling.scale)
        self.n_outputs, self.family = len(self.center), first.network.family
        self.n_features = first.network.n_features
        activations = [
            part.model.network.activation
            for part in parts if part.model.network.hidden_layer_sizes
        ]  # fmt: skip
        self.activation = (activations or ["identity"])[0]
        variance = float(self.family.standard.moment(2))
        weights, scales = tail
        inside = 1 - np.sum(weights)
        # All components have the mean; the tail's variances are known.
        self.std_factor = np.sqrt(inside + variance * np.sum(weights * scales**2))
        self.perceptrons = []
        self.ints, self.floats, self.params = (_Table(t) for t in ("i8", "f4", "f4"))
        pairs = np.stack([weights, scales], axis=1)
        constant = self.n_outputs * self.family.log_normaliser
        self.floats.add([variance, constant, 0, 0, *pairs.ravel()])
        self.n_components, self.widths = 0, [1, self.n_features]
        n_perceptrons = sum(part.model.network.n_estimators for part in parts)
        # Perceptrons come first, so that they are found by their number.
        self._after = at.HEADER + at.PERCEPTRON * n_perceptrons
        self.ints.add(np.zeros(self._after))
        for part in parts:
            self._add(part, inside)

    def _add(self, part, inside):
        model, network = part.model, part.model.network
        layout, head = network.layout, network.head
        scaling, exponents = _pairs(model.encoding)
        bins = np.stack(
            [
                model.encoding.bin_slope,
                model.encoding.bin_intercept,
                model.encoding.bin_low,
                model.encoding.bin_high,
            ],
            axis=1,
        )
        shared = {
            at.N_LAYERS: len(layout.layers),
            at.N_INPUTS: layout.n_inputs,
            at.FIRST_BIN: self.ints.add(model.encoding.bin_feature),
            at.EXPONENTS: self.ints.add(exponents),
            at.INPUT_SCALING: self.floats.add(np.concatenate([scaling, bins])),
            at.MIXING: self.floats.add(self._mixing(part, inside)),
            at.N_COMPONENTS: head.n_components,
            at.N_SCALES: head.n_scales,
        }
        plain = network.members(model.params.astype(np.float64))
        for member in plain.reshape(network.n_estimators, layout.member_size):
            layers = [self._add_layer(member, layer) for layer in layout.layers]
            own = {
                at.FIRST_LAYER: self.ints.add(layers),
                at.FIRST_COMPONENT: self.n_components,
            }
            numbers = shared | own
            self.perceptrons.append([numbers[i] for i in range(at.PERCEPTRON)])
            self.n_components += head.n_components
        sizes = [_four(layout.n_inputs), *(layer[1] for layer in layers)]
        # Layers lie in two places by turns.
        for place in (0, 1):
            self.widths[place] = max(self.widths[place], *sizes[place::2])

    def _mixing(self, part, inside):
        """Numbers that turn a head into components in the common units."""
        model, D = part.model, self.n_outputs
        share = part.weight * inside / model.network.n_estimators
        scale = model.scaling.scale
        table = np.empty((1 + D, 4))
        table[0] = part.sharpness, share, part.temperature, 0
        table[1:, 0] = model.min_scale**2
        table[1:, 1] = part.floor / np.abs(scale)
        table[1:, 2] = scale / self.unit
        table[1:, 3] = (model.scaling.center - self.center) / self.unit
        return table

    def _add_layer(self, member, layer):
        n_in, n_pad, n_out = layer[N_IN], layer[N_PAD], layer[N_OUT]
        weight = np.zeros((_four(n_out), _four(n_in)))
        weight[:n_out, :n_in] = member[layer[WEIGHT] :][: n_out * n_pad].reshape(
            n_out, n_pad
        )[:, :n_in]
        tiles = weight.reshape(-1, 4, _four(n_in)).transpose(0, 2, 1)
        bias = np.zeros(_four(n_out))
        bias[:n_out] = member[layer[BIAS] :][:n_out]
        return _four(n_in), _four(n_out), self.params.add(tiles), self.params.add(bias)

    def tables(self, rows):
        """Arrays of integers, floats and parameters, for tiles of so many rows."""
        ints = self.ints.array()
        header = {
            at.N_PERCEPTRONS: len(self.perceptrons),
            at.N_FEATURES: self.n_features,
            at.N_OUTPUTS: self.n_outputs,
            at.SECOND: self.widths[0] * (rows + 4),
            at.ALL_COMPONENTS: self.n_components,
        }
        ints[: at.HEADER] = [header[i] for i in range(at.HEADER)]
        ints[at.HEADER : self._after] = np.ravel(self.perceptrons)
        return ints, self.floats.array(), self.params.array()

    def shared_bytes(self, rows):
        """Shared memory of a block for tiles of so many rows."""
        return 4 * sum(self.widths) * (rows + 4)


def answer(get_model, tail, n_rows, question):
    """Ask a GPU, if there is one for this many rows and for these networks.

    Parameters
    ----------
    get_model : callable
        Returns the fitted model, whose ``parts()`` are `skmdn._engine.job.Part`; called
        only where a GPU may answer, as it checks the fitted state.
    tail : pair of ndarray of shape (n,)
        Weights and scales of the tail's components, in units of the predicted standard
        deviation.
    n_rows : int
    question : callable
        It gets the `Answers`.

    Returns
    -------
    answer : what the question returned
        None: the CPU is to answer.
    """
    if n_rows < _FEWEST_ROWS:
        return None
    try:
        device = open_gpu()
        parts = get_model().parts()
        if not _is_known(parts):
            return None
        packed = _Packed(parts, tail)
        fitting = [r for r in _ROWS if packed.shared_bytes(r) <= device.shared_bytes]
        return question(Answers(packed, fitting[0], device)) if fitting else None
    except (Unavailable, OutOfMemory):
        return None


def _is_known(parts):
    """Whether the kernels know these networks."""
    networks = [part.model.network for part in parts]
    activations = {n.activation for n in networks if n.hidden_layer_sizes}
    families = {n.family.name for n in networks}
    encodings = [part.model.encoding for part in parts]
    farthest = max(np.max(np.abs(e.center) / e.scale, initial=0) for e in encodings)
    is_near = farthest < _FARTHEST
    if any(n.head.is_chain for n in networks):
        return False
    return is_near and len(activations) < 2 and len(families - set(STANDARDS)) == 0


class Answers:
    """Answers of one mixture by kernels.

    Parameters
    ----------
    packed : _Packed
    rows : int
        Of a tile.
    device : Device

    Raises
    ------
    OutOfMemory
        Here or later.
    """

    def __init__(self, packed, rows, device):
        self._packed, self._device = packed, device
        self._variant = PredictVariant(rows, packed.activation, packed.family)
        self._tables = [device.put(table) for table in packed.tables(rows)]

    def logpdf(self, X, Y):
        """Joint log-densities (n,) of targets (n, n_outputs)."""
        out = np.empty(len(X))
        shift = np.log(self._packed.unit).sum()
        for rows, found in self._run("predict_logpdf", X, 1, Y=Y):
            out[rows] = found[:, 0] - shift
        return out

    def cdf(self, X, y):
        """P(Y <= y) (n,) of one output."""
        out = np.empty(len(X))
        for rows, found in self._run("predict_cdf", X, 1, Y=y[:, None]):
            out[rows] = found[:, 0]
        return out

    def moments(self, X):
        """Means and standard deviations, (n,) or (n, n_outputs) each."""
        packed = self._packed
        mean, std = np.empty((2, len(X), packed.n_outputs))
        for rows, found in self._run("predict_moments", X, 2 * packed.n_outputs):
            found = found.reshape(-1, packed.n_outputs, 2)
            mean[rows] = packed.center + packed.unit * found[..., 0]
            std[rows] = (packed.unit * packed.std_factor) * found[..., 1]
        return (mean, std) if packed.n_outputs > 1 else (mean[:, 0], std[:, 0])

    def quantiles(self, X, levels):
        """Quantiles (n, n_levels) of one output."""
        packed = self._packed
        levels = np.asarray(levels, dtype=float)
        tails = np.minimum(levels, 1 - levels)
        z = packed.family.standard.ppf(tails)
        table = np.stack([tails, z, np.where(levels > 0.5, -1.0, 1.0)], axis=1)
        out = np.empty((len(X), len(levels)))
        for rows, found in self._run(
            "predict_quantiles", X, len(levels), levels=table.ravel().astype("f4")
        ):
            out[rows] = packed.center + packed.unit * found
        return out

    def draws(self, X, n_draws, seed):
        """Draws (n[, n_outputs], n_draws), of a seed (uint64): those of the CPU."""
        packed = self._packed
        out = np.empty((len(X), packed.n_outputs, n_draws))
        width = packed.n_outputs * n_draws
        for rows, found in self._run("predict_draws", X, width, n_draws, seed=seed):
            found = found.reshape(-1, packed.n_outputs, n_draws)
            out[rows] = packed.center[:, None] + packed.unit[:, None] * found
        return out if packed.n_outputs > 1 else out[:, 0]

    def _run(self, name, X, width, n_each=None, *, Y=None, levels=None, seed=0):
        """Yield rows and their answers (n, width), float32, block by block."""
        packed, device, variant = self._packed, self._device, self._variant
        n, D, f = len(X), packed.n_outputs, packed.n_features
        row_bytes = 8 * f + 4 * D * (Y is not None) + 4 * width
        step = min(n, _BLOCK_ROWS, max(1, _BLOCK_BYTES // row_bytes))
        n_blocks = min(device.n_blocks, -(-step // variant.rows))
        n_kept = packed.n_components + mixing.N_TAIL
        n_kept *= (1 + 2 * D) * variant.rows * n_blocks
        question = np.array([n_each or width, 0, 0])
        question[2:] = np.array([seed], dtype=np.uint64).view(np.int64)
        tables = Tables(
            device.empty(2 * f * step, np.uint32),
            device.empty(D * step if Y is not None else 1, np.float32),
            *self._tables,
            device.put(question),
            device.put(np.zeros(1, np.float32) if levels is None else levels),
            device.empty(n_kept, np.float32),
            device.empty(width * step, np.float32),
        )
        shared_bytes, waiting = packed.shared_bytes(variant.rows), None
        for start in range(0, n, step):
            # The last block is as long as the others: some rows come once more.
            rows = slice(min(start, n - step), min(start, n - step) + step)
            words = np.ascontiguousarray(X[rows]).view(np.uint32).ravel()
            targets = None if Y is None else self._scaled(Y[rows])
            if waiting is not None:
                found = device.copy(tables.out).reshape(step, width)
            device.fill(tables.X, words)
            if Y is not None:
                device.fill(tables.Y, targets)
            question[1] = rows.start
            device.fill(tables.question, question)
            device.launch(variant, name, n_blocks, shared_bytes, tables, step)
            if waiting is not None:
                yield waiting, found
            waiting = rows
        yield waiting, device.copy(tables.out).reshape(step, width)

    def _scaled(self, Y):
        """Targets in the common units."""
        scaled = (Y - self._packed.center) / self._packed.unit
        scaled = np.clip(scaled, -_LARGEST_TARGET, _LARGEST_TARGET)
        return scaled.astype(np.float32).ravel()


def _four(n):
    """Round up to a multiple of 4."""
    return -(-int(n) // 4) * 4


def _pairs(encoding):
    """Scaling of the inputs for `predict_inputs.scaled_input`: floats, exponents."""
    mantissa, exponent = np.frexp(encoding.scale)
    center = np.ldexp(encoding.center, -exponent)
    high = center.astype(np.float32)
    # Whatever it is, the network sees zero.
    is_constant = encoding.scale == np.finfo(float).max
    scaling = np.zeros((len(center), 4))
    scaling[:, 0], scaling[:, 1], scaling[:, 2] = high, center - high, 1 / mantissa
    scaling[is_constant] = 0
    return scaling, exponent + _BIASES
