# SPDX-License-Identifier: BSD-3-Clause
"""Estimators: parameters, validation, orchestration; no maths."""
