#!/usr/bin/env python3
"""Saves small models of all variants as the reference's libraries do, and compares what the programs make of each folder with
what the reference makes of the same one. Prints the table of README.md.

usage: saved.py [--bin FOLDER] [--older PYTHON] [CASE...]    (by the reference's Python; minutes)

--older is the interpreter of an environment with torch and transformers 4.57; its libraries save the text encoder and the
tokenizer of half of the rows.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import torch
from safetensors.torch import load_file

import case_list
import reference
from reference import HERE

CASES = ("sincos-ddim", "rope-dpm", "learned-dpm", "rope15-ddim", "rope15-i2v-dpm")
STEPS = 3
REPOSITORY = "some-org/a.small-model"
REVISION = "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01"
# What the table calls it: dtype, how it is saved, whether it lies in the hub's cache.
FORMS = {
    "fp32": ("float32", {}, False),
    "bf16": ("bfloat16", {}, False),
    "fp16": ("float16", {}, False),
    "shards of 20 KB": ("float32", {"max_shard_size": "20KB"}, False),
    "variant fp16": ("float16", {"variant": "fp16"}, False),
    "variant bf16, shards of 20 KB": ("bfloat16", {"variant": "bf16", "max_shard_size": "20KB"}, False),
    "bf16 in the hub's cache": ("bfloat16", {}, True),
}
LIMIT = 1e-4


class Older:
    """The libraries of another environment, in one process for all rows."""

    def __init__(self, python):
        self.process = subprocess.Popen([python, HERE / "save_text_encoder.py"], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def save(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline().startswith("4.57"):
            raise SystemExit("--older is no Python with transformers 4.57")


def save(pipe, source, form, older, folder):
    dtype, how, _ = FORMS[form]
    pipe.to(getattr(torch, dtype)).save_pretrained(folder, **how)
    if older:
        for part in ("text_encoder", "tokenizer"):
            shutil.rmtree(folder / part)
        older.save(source=str(source), folder=str(folder), dtype=dtype, how=how)


def into_hub_cache(folder, cache):
    """Moves a folder's files to where huggingface_hub would have downloaded them."""
    repository = cache / ("models--" + REPOSITORY.replace("/", "--"))
    snapshot = repository / "snapshots" / REVISION
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    for number, file in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = shutil.move(file, repository / "blobs" / f"{number:040x}")
        link.symlink_to(os.path.relpath(blob, link.parent))


def load(name, kind, request, **more):
    """The pipeline that the reference reads from a folder or the cache, in fp32."""
    pipe = kind.from_pretrained(name, dtype=torch.float32, **more)
    pipe.scheduler = reference.SCHEDULERS[request["scheduler"]].from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ours(programs, model, variant, request, folder, environment):
    output = folder / "latents.safetensors"
    flags = {"prompt": request["prompt"], "negative-prompt": request["negative_prompt"], "model": model, "output": output,
             "output-type": "latent", "dtype": "fp32", "device": "cpu",
             **{name.replace("_", "-"): request[name] for name in (
                 "frames", "height", "width", "steps", "guidance_scale", "seed", "scheduler", "max_sequence_length")}}
    if variant:
        flags["variant"] = variant
    if "image" in request:
        flags["image"] = HERE / request["image"]
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    run = subprocess.run([programs / "cogwheel", "generate", *words], env={**os.environ, **environment}, capture_output=True,
                         text=True)
    if run.returncode:
        raise SystemExit(f"{model}: {run.stderr}")
    return load_file(output)["latents"]


def difference(case, form, older, programs, folder):
    """The largest difference of the final latents, divided by their standard deviation."""
    checkpoint = reference.read_checkpoint(case["checkpoint"])
    request = {**case["request"], "steps": STEPS}
    source = reference.materialise(checkpoint)
    pipe = reference.load(checkpoint, request["scheduler"])
    saved, cache = folder / "saved", folder / "hub"
    save(pipe, source, form, older, saved)
    _, how, in_cache = FORMS[form]
    variant = how.get("variant")
    name, environment, more = saved, {}, {}
    if in_cache:
        into_hub_cache(saved, cache)
        name, environment, more = REPOSITORY, {"HF_HUB_CACHE": str(cache)}, {"cache_dir": cache, "local_files_only": True}
    expected, _, _ = reference.run(load(name, type(pipe), request, **more, **({"variant": variant} if variant else {})), request)
    found = ours(programs, name, variant, request, folder, environment)
    return ((found.double() - expected.double()).abs().max() / expected.double().std()).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=HERE.parents[1] / "build" / "release" / "bin")
    parser.add_argument("--older")
    parser.add_argument("cases", nargs="*", default=CASES)
    arguments = parser.parse_args()
    print("| saved as | transformers | " + " | ".join(arguments.cases) + " |")
    print("|---" * (2 + len(arguments.cases)) + "|")
    worst = 0
    writers = (None, Older(arguments.older)) if arguments.older else (None,)
    for form in FORMS:
        for older in writers:
            cells = []
            for case in arguments.cases:
                with tempfile.TemporaryDirectory() as folder:
                    cells.append(difference(case_list.CASES[case], form, older, arguments.bin, pathlib.Path(folder)))
            worst = max(worst, *cells)
            print(f"| {form} | {'4.57' if older else '5.23'} | " + " | ".join(f"{cell:.1e}" for cell in cells) + " |", flush=True)
    if not worst <= LIMIT:
        raise SystemExit(f"{worst:.1e} is above {LIMIT}")


if __name__ == "__main__":
    main()
