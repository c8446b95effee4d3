#!/usr/bin/env python3
"""Regenerates the recorded results of this folder from the reference; see README.md.

    make.py [images] [checkpoints] [cases] [NAME...] [ops] [networks] [tokens] [many_scripts]
    no word: everything
"""

import json
import sys

from safetensors.torch import save_file

import case_list
import checkpoint_list
import many_scripts
import networks
import ops
import pictures
import readme
import reference
import tokens
from reference import HERE

FP64_LIMIT = 2.5e-5
BYTE_LIMIT = 256 * 1024


def json_text(fields):
    """One field a line."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in fields.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def checkpoint_text(checkpoint):
    """Configs indented, tensors one a line: readable, and differences stay small."""
    configs = json.dumps(checkpoint["configs"], indent=1)
    parts = []
    for part, lines in checkpoint["tensors"].items():
        rows = ",\n".join("  " + json.dumps(line) for line in lines)
        parts.append(f' "{part}": [\n{rows}\n ]')
    name, tensors = json.dumps(checkpoint["name"]), ",\n".join(parts)
    return f'{{"name": {name},\n"configs": {configs},\n"tensors": {{\n{tensors}\n}}}}\n'


def make_checkpoints():
    (HERE / "checkpoints").mkdir(exist_ok=True)
    for i, name in enumerate(checkpoint_list.CHECKPOINTS):
        text = checkpoint_text(reference.describe(name, first_seed=100_000 * (i + 1)))
        (HERE / "checkpoints" / f"{name}.json").write_text(text)
        print("checkpoint", name)


def save(tensors, path):
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    path.chmod(0o644)
    if path.stat().st_size > BYTE_LIMIT:
        raise SystemExit(f"{path.name}: {path.stat().st_size} bytes, the limit is {BYTE_LIMIT}")


def make_case(case):
    """Runs one case in fp32 and fp64; refuses it when the two differ by more than the limit."""
    checkpoint, request = reference.read_checkpoint(case["checkpoint"]), case["request"]
    latents, frames, prediction_std = reference.run(
        reference.load(checkpoint, request["scheduler"]), request)
    exact, exact_frames, _ = reference.run_double(checkpoint, request)
    std = exact.std().item()
    difference = ((latents.double() - exact).abs().max() / std).item()
    levels = (frames.int() - exact_frames.int()).abs().max().item()
    unclipped = ((frames > 0) & (frames < 255)).double().mean().item()
    print(f"{case['name']:26} fp32-fp64 {difference:.2e}  frames {levels}  latents std {std:.2f}  "
          f"prediction std {prediction_std:.2f}  unclipped {unclipped:.2f}", flush=True)
    if difference > FP64_LIMIT:
        raise SystemExit(f"{case['name']}: fp32 and fp64 differ by {difference:.2e}")
    if not 0.5 <= prediction_std <= 2:
        raise SystemExit(f"{case['name']}: prediction std {prediction_std:.2f}")
    (HERE / "cases").mkdir(exist_ok=True)
    expected = f"cases/{case['name']}.safetensors"
    save({"latents": latents, "frames": frames}, HERE / expected)
    rounded = lambda value: float(f"{value:.3g}")
    (HERE / "cases" / f"{case['name']}.json").write_text(json_text({
        **case, "expected": expected, "reference_fp32_fp64": rounded(difference),
        "latents_std": rounded(std), "prediction_std": rounded(prediction_std),
        "frames_unclipped": rounded(unclipped)}))


def rows_text(value, depth=0):
    """JSON with a list item or field a line down to depth 4, compact below."""
    if depth == 4 or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        items = (f"{pad}{json.dumps(key)}: {rows_text(item, depth + 1)}"
                 for key, item in value.items())
        return "{\n" + ",\n".join(items) + "\n" + pad[1:] + "}"
    if not isinstance(value[0], (dict, list)):
        return json.dumps(value)
    return "[\n" + ",\n".join(pad + rows_text(item, depth + 1) for item in value) + "]"


def make_ops():
    numbers, tensors = ops.make()
    (HERE / "ops.json").write_text(rows_text(numbers) + "\n")
    save(tensors, HERE / "ops.safetensors")
    print("ops", len(tensors), "tensors")


def make_networks():
    (HERE / "networks").mkdir(exist_ok=True)
    forwards = []
    for name in networks.FORWARD_SHAPES:
        description, tensors = networks.forward(name)
        save(tensors, HERE / description["file"])
        forwards.append(description)
    vae, decoded, encoded = networks.make_vae()
    save(decoded, HERE / "networks" / "decode.safetensors")
    save(encoded, HERE / "networks" / "encode.safetensors")
    resizes, tensors = networks.make_resizes()
    save(tensors, HERE / "networks" / "resize.safetensors")
    text = rows_text({"forward": forwards, "vae": vae, "resize": resizes})
    (HERE / "networks.json").write_text(text + "\n")
    print("networks", len(forwards), "forwards,", len(resizes), "resizes")


def make_tokens():
    (HERE / "tokens.json").write_text(rows_text(tokens.make()) + "\n")
    print("tokens", len(tokens.PROMPTS), "prompts")


PARTS = {"images": lambda: pictures.write(HERE / "images"), "checkpoints": make_checkpoints,
         "ops": make_ops, "networks": make_networks, "tokens": make_tokens,
         "many_scripts": many_scripts.write}


def main(words):
    unknown = set(words) - set(case_list.CASES) - set(PARTS) - {"cases"}
    if unknown:
        raise SystemExit(f"make.py: unknown {' '.join(sorted(unknown))}")
    for part, make in PARTS.items():
        if not words or part in words:
            make()
    for name, case in case_list.CASES.items():
        if not words or "cases" in words or name in words:
            make_case(case)
    readme.cases()


if __name__ == "__main__":
    main(sys.argv[1:])
