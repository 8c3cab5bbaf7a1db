# SPDX-License-Identifier: BSD-3-Clause
"""The guided demo behind ``python -m skmdn``."""
