#!/usr/bin/env python3
"""Shows that the recorded cases notice plausible mistakes: prints a table, fails if one is missed.

    planted.py               all errors; writes the table into README.md
    planted.py WORD...       only the errors whose label contains one of the words
"""

import contextlib
import json
import sys

from safetensors.torch import load_file

import planted_errors
import planted_networks  # noqa: F401  (these three add their errors to the list)
import planted_pipeline  # noqa: F401
import planted_vae  # noqa: F401
import readme
import reference
from reference import HERE

LATENT_LIMIT = 1e-4
FRAME_LIMIT = 2
MISSING = object()


@contextlib.contextmanager
def patches():
    """Gives patch(object, name, value), which sets an attribute until the block ends."""
    saved = []

    def patch(target, name, value):
        own = vars(target).get(name, MISSING) if hasattr(target, "__dict__") else MISSING
        saved.append((target, name, own))
        setattr(target, name, value)

    try:
        yield patch
    finally:
        for target, name, own in reversed(saved):
            if own is MISSING:
                delattr(target, name)
            else:
                setattr(target, name, own)


def differences(case, plant):
    """(latents: largest difference / std, frames: largest difference in levels)."""
    expected = load_file(HERE / case["expected"])
    pipe = reference.load(reference.read_checkpoint(case["checkpoint"]),
                          case["request"]["scheduler"])
    with patches() as patch:
        plant(pipe, patch)
        latents, frames, _ = reference.run(pipe, case["request"])
    wanted = expected["latents"]
    apart = (latents - wanted).abs().max() / wanted.std()
    levels = (frames.int() - expected["frames"].int()).abs().max()
    return apart.item(), levels.item()


HEADER = ["| planted error | case | latents: difference / limit | frames: levels / limit |",
          "|---|---|---|---|"]


def main(words):
    print(*HEADER, sep="\n")
    lines, missed = [], []
    for label, name, plant in planted_errors.ERRORS:
        if words and not any(word in label for word in words):
            continue
        case = json.loads((HERE / "cases" / f"{name}.json").read_text())
        apart, levels = differences(case, plant)
        if (levels <= FRAME_LIMIT) if label.startswith("VAE: ") else (apart <= LATENT_LIMIT):
            missed.append(label)
        figures = f"{apart / LATENT_LIMIT:.3g} | {levels / FRAME_LIMIT:g}"
        lines.append(f"| {label} | {name} | {figures} |")
        print(lines[-1], flush=True)
    if missed:
        raise SystemExit(f"missed: {'; '.join(missed)}")
    if not words:
        readme.replace("planted", HEADER + lines)


if __name__ == "__main__":
    main(sys.argv[1:])
