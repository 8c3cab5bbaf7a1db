# SPDX-License-Identifier: BSD-3-Clause
"""How training and predictions run on an NVIDIA GPU."""
