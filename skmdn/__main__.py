# SPDX-License-Identifier: BSD-3-Clause
"""``python -m skmdn``: a guided tour on real data and on classic problems."""

import argparse
import sys
from pathlib import Path


def parse(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m skmdn",
        description="Fit mixture density networks to real data and to classic inverse "
        "problems; write pictures and print tables.",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("skmdn-demo"),
        help="folder for the pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few seconds: fewer candidates, folds, epochs and frames",
    )
    parser.add_argument(
        "--random-state", type=int, default=0, help="seed (default: %(default)s)"
    )
    return parser.parse_args(argv)


def main(argv=None):
    """Run the demo; return the exit status."""
    arguments = parse(argv)
    try:
        from skmdn._demo.tour import run
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        if package not in ("matplotlib", "PIL"):
            raise
        print(
            f"python -m skmdn draws pictures and needs {package}. Install it with: "
            "pip install 'skmdn[plot]'",
            file=sys.stderr,
        )
        return 1
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    run(
        arguments.output_dir,
        quick=arguments.quick,
        random_state=arguments.random_state,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
