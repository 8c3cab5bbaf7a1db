# SPDX-License-Identifier: BSD-3-Clause
"""Split-conformal recalibration: intervals that hold for any model, however bad."""

from skmdn.calibration._conformal import ConformalDistribution
from skmdn.calibration._regressor import ConformalMDNRegressor

__all__ = ["ConformalDistribution", "ConformalMDNRegressor"]
