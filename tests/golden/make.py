#!/usr/bin/env python3
"""Regenerates the recorded results of this folder from the reference; see README.md.

    make.py [checkpoints] [cases [NAME...]] [ops] [tokens]     no word: everything
"""

import json
import sys

import torch
from safetensors.torch import save_file

import case_list
import checkpoint_list
import reference
from reference import HERE

FP64_LIMIT = 2.5e-5


def write_json(path, content, lines_of=()):
    """Writes JSON with an indent, but the lists named in `lines_of` one item a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def checkpoint_text(checkpoint):
    """Configs indented, tensors one a line: the file stays readable and diffs stay small."""
    configs = json.dumps(checkpoint["configs"], indent=1)
    parts = []
    for part, lines in checkpoint["tensors"].items():
        rows = ",\n".join("  " + json.dumps(line) for line in lines)
        parts.append(f' "{part}": [\n{rows}\n ]')
    tensors = ",\n".join(parts)
    return f'{{"name": "{checkpoint["name"]}",\n"configs": {configs},\n"tensors": {{\n{tensors}\n}}}}\n'


def make_checkpoints():
    (HERE / "checkpoints").mkdir(exist_ok=True)
    for i, name in enumerate(checkpoint_list.CHECKPOINTS):
        text = checkpoint_text(reference.describe(name, first_seed=100_000 * (i + 1)))
        (HERE / "checkpoints" / f"{name}.json").write_text(text)
        print("checkpoint", name)


def read_checkpoint(name):
    return json.loads((HERE / "checkpoints" / f"{name}.json").read_text())


def make_case(case):
    """Runs one case in fp32 and fp64; refuses it when the two differ by more than the limit."""
    checkpoint, request = read_checkpoint(case["checkpoint"]), case["request"]
    latents, frames, prediction_std = reference.run(
        reference.load(checkpoint, request["scheduler"]), request)
    exact, exact_frames, _ = reference.run_double(checkpoint, request)
    std = exact.std().item()
    difference = ((latents.double() - exact).abs().max() / std).item()
    steps = (frames.int() - exact_frames.int()).abs().max().item()
    fraction = ((frames > 0) & (frames < 255)).double().mean().item()
    print(f"{case['name']:24} fp32-fp64 {difference:.2e}  frames {steps}  latents std {std:.2f}  "
          f"prediction std {prediction_std:.2f}  unclipped {fraction:.2f}", flush=True)
    if difference > FP64_LIMIT:
        raise SystemExit(f"{case['name']}: fp32 and fp64 differ by {difference:.2e}")
    if not 0.5 <= prediction_std <= 2:
        raise SystemExit(f"{case['name']}: prediction std {prediction_std:.2f}")
    expected = f"cases/{case['name']}.safetensors"
    (HERE / "cases").mkdir(exist_ok=True)
    save_file({"latents": latents.contiguous(), "frames": frames.contiguous()}, HERE / expected)
    if (HERE / expected).stat().st_size > 256 * 1024:
        raise SystemExit(f"{expected} exceeds 256 KiB")
    rounded = lambda value: float(f"{value:.3g}")
    write_json(HERE / "cases" / f"{case['name']}.json", {
        **case, "expected": expected, "reference_fp32_fp64": rounded(difference),
        "latents_std": rounded(std), "prediction_std": rounded(prediction_std),
        "frames_unclipped": rounded(fraction)})


def main(words):
    names = [word for word in words if word in case_list.CASES]
    if not words or "checkpoints" in words:
        make_checkpoints()
    if not words or "cases" in words:
        for name, case in case_list.CASES.items():
            if not names or name in names:
                make_case(case)


if __name__ == "__main__":
    main(sys.argv[1:])
