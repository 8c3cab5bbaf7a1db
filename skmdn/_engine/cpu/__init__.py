# SPDX-License-Identifier: BSD-3-Clause
"""How the engine runs on a CPU."""
