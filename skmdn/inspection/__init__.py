# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of conditional distributions, as scikit-learn Displays.

Every class has `from_estimator`, most have `from_predictions`, and all draw again with
``plot(ax=...)``. matplotlib is imported when something is drawn; the extra
``skmdn[plot]`` installs it.
"""

from skmdn.inspection._components import ComponentDisplay
from skmdn.inspection._conditional import ConditionalDensityDisplay
from skmdn.inspection._fan import FanChartDisplay
from skmdn.inspection._joint import JointDensityDisplay
from skmdn.inspection._reliability import CoverageDisplay, PITDisplay
from skmdn.inspection._rows import RowDensityDisplay
from skmdn.inspection._training import TrainingCurveDisplay

__all__ = [
    "ComponentDisplay",
    "ConditionalDensityDisplay",
    "CoverageDisplay",
    "FanChartDisplay",
    "JointDensityDisplay",
    "PITDisplay",
    "RowDensityDisplay",
    "TrainingCurveDisplay",
]
