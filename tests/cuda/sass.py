# SPDX-License-Identifier: BSD-3-Clause
"""What ptxas makes of PTX: registers, memory, and the instructions of the loops."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from cuda import pathfinder

_SMALLEST_LOOP = 16  # FFMA; a loop with fewer is not where the time goes


class Report(NamedTuple):
    """A kernel as one architecture runs it."""

    registers: int  # of a thread
    stack: int  # bytes of a thread
    spills: int  # bytes
    n_doubles: int  # lines of PTX with .f64
    instructions: Counter  # of the whole kernel, by name
    ffma_share: float  # in the best of the innermost loops
    ffma_loop: Counter  # that loop

    def __str__(self):
        part = f"{self.ffma_loop['FFMA']} of {self.ffma_loop.total()}"
        share = f"FFMA {part} ({self.ffma_share:.3f})"
        return f"{self.registers} registers, {share}, {self.faults or 'no fault'}"

    @property
    def faults(self):
        """What a float32 kernel should have none of, by name."""
        counts = self.instructions
        found = {
            ".f64": self.n_doubles,
            "spills": self.spills,
            "stack": self.stack,
            "local memory": counts["LDL"] + counts["STL"],
            "generic memory": counts["LD"] + counts["ST"],
        }
        return {name: count for name, count in found.items() if count}


def assemble(ptx, folder):
    """Assemble PTX for the architecture that it names, and read the machine code."""
    folder = Path(folder)
    arch = re.search(r"^\.target (sm_\w+)", ptx, re.M)[1]
    source, binary = folder / f"{arch}.ptx", folder / f"{arch}.cubin"
    source.write_text(ptx)
    # nvdisasm is found by its name; ptxas lies beside nvcc, or is of the same toolkit.
    ptxas = Path(pathfinder.find_nvidia_binary_utility("nvcc")).with_name("ptxas")
    said = _run(ptxas, f"-arch={arch}", "-v", source, "-o", binary).stderr
    nvdisasm = pathfinder.find_nvidia_binary_utility("nvdisasm")
    instructions, loops = read(_run(nvdisasm, "-c", binary).stdout)
    best = max(loops, key=ffma_share, default=Counter())
    return Report(
        registers=_number(r"Used (\d+) registers", said),
        stack=_number(r"(\d+) bytes stack frame", said),
        spills=_number(r"(\d+) bytes spill stores", said)
        + _number(r"(\d+) bytes spill loads", said),
        n_doubles=ptx.count(".f64"),
        instructions=instructions,
        ffma_share=ffma_share(best),
        ffma_loop=best,
    )


def ffma_share(loop):
    """Share of the multiply-adds among a loop's instructions; 0 of a small one."""
    n_ffma = loop["FFMA"]
    return n_ffma / loop.total() if n_ffma >= _SMALLEST_LOOP else 0.0


def read(sass):
    """Count the instructions of a listing, and of each of its innermost loops."""
    labels, names, targets = {}, [], {}
    for line in sass.splitlines():
        if label := re.match(r"(\.L_\w+):", line):
            labels[label[1]] = len(names)
        if found := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(.*?);", line):
            if branch := re.match(r"BRA.*?(\.L_\w+)", found[1]):
                targets[len(names)] = branch[1]
            names.append(found[1].split()[0].split(".")[0])
    loops = {
        (labels[target], last)
        for last, target in targets.items() if labels[target] <= last
    }  # fmt: skip
    innermost = [
        (first, last) for first, last in loops
        if not any(
            first <= a and b <= last and (a, b) != (first, last) for a, b in loops
        )
    ]  # fmt: skip
    return Counter(names), [Counter(names[a : b + 1]) for a, b in innermost]


def _run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
    return done


def _number(pattern, text):
    return int(re.search(pattern, text)[1])
