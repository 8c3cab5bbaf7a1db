# SPDX-License-Identifier: BSD-3-Clause
"""What happens between an estimator's parameters and an engine."""
