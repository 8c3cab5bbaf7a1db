# SPDX-License-Identifier: BSD-3-Clause
"""How kernels are compiled, and the elementary functions that they use."""
