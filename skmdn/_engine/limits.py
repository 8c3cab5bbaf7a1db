# SPDX-License-Identifier: BSD-3-Clause
"""Where numbers are cut before they are computed with: one place for each bound."""

# Where the smooth clip of inputs levels off, in scaled units (RealMLP; Holzmueller,
# Grinsztajn and Steinwart 2024, Better by Default, NeurIPS).
CLIP = 3.0
# Scaled values are cut here: far outside the data, and safe to square in float32.
LARGEST_SCALED = 1e6
# Targets beyond this many scales say no more about the body of the distribution in
# training, and their squares, divided by the smallest scale, would leave float32.
LARGEST_TRAINED = 1e5
# Bound of the norm of a member's gradient.
CLIP_NORM = 1.0
