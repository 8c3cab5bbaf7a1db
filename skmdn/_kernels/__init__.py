# SPDX-License-Identifier: BSD-3-Clause
"""How the network runs: compiled kernels, and nothing of scikit-learn."""
