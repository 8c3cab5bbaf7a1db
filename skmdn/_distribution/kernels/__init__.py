# SPDX-License-Identifier: BSD-3-Clause
"""Compiled loops over the rows of mixtures."""
