# SPDX-License-Identifier: BSD-3-Clause
"""The parts that `skmdn.distribution.MixtureDistribution` is put together from."""
