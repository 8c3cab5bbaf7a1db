# SPDX-License-Identifier: BSD-3-Clause
"""Mixture density networks for scikit-learn."""

__version__ = "0.1.0.dev0"
