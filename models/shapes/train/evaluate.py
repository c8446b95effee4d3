"""Draws captions with the reference pipeline and counts what the meter reads off the frames.

    python evaluate.py MODEL_FOLDER --captions ../../../tests/integration/shapes_captions.json
    python evaluate.py MODEL_FOLDER --set trained --count 256
    python evaluate.py MODEL_FOLDER --set circles --count 100
"""
import argparse
import json
import multiprocessing
import pathlib
import random
import time

import numpy as np
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, CogVideoXPipeline

import grammar
import meter
import render

ATTRIBUTES = ("colour", "shape", "motion", "background")
_ROUND = 0.05  # a clip is round when its frames are nearer to a circle on average
_BATCH = 32 if torch.cuda.is_available() else 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--captions", help="a file of captions with what they promise")
    parser.add_argument("--set", default="held-out", choices=[
        "held-out", "held-out-plain", "held-out-combinations", "trained", "circles", "vae"])
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--first-seed", type=int, help="instead of the captions' own seeds")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--scheduler", default="dpm", choices=["dpm", "ddim"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--save-captions", help="write the set to this file and stop")
    parser.add_argument("--frames", help="write the uint8 frames to this .npz file")
    return parser.parse_args()


def captions(options):
    if options.captions:
        chosen = json.loads(pathlib.Path(options.captions).read_text())[:options.count]
    elif options.set == "trained":
        chosen = grammar.test_captions(options.count, grammar.TRAINED, grammar.PHRASINGS, 11)
    elif options.set == "held-out-combinations":
        chosen = grammar.test_captions(options.count, grammar.HELD_OUT, grammar.PHRASINGS, 12)
    elif options.set == "held-out-plain":  # "a {colour} {shape} moving {direction}"
        moving = [x for x in grammar.HELD_OUT if x.motion < 4 and x.background == 0]
        chosen = [{"prompt": grammar.plain_caption(x), **x.names(), "seed": 5000 + i}
                  for i, x in zip(range(options.count), moving * options.count)]
    elif options.set == "circles":  # plain captions of trained combinations, a seed each
        circles = [x for x in grammar.TRAINED if grammar.SHAPE_NAMES[x.shape] == "circle"]
        random.Random(5).shuffle(circles)
        chosen = [{"prompt": grammar.plain_caption(x), **x.names(), "seed": i}
                  for i, x in zip(range(options.count), circles * options.count)]
    else:
        chosen = grammar.test_captions(options.count, grammar.HELD_OUT,
                                       grammar.HELD_OUT_PHRASINGS, 13)
    if options.first_seed is not None:
        chosen = [{**c, "seed": options.first_seed + i} for i, c in enumerate(chosen)]
    return chosen


@torch.no_grad()
def generate(pipeline, chosen, options):
    """-> [N, F, H, W, 3] uint8, each clip from its own seed."""
    kind = {"dpm": CogVideoXDPMScheduler, "ddim": CogVideoXDDIMScheduler}[options.scheduler]
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    clips = []
    for start in range(0, len(chosen), _BATCH):
        part = chosen[start:start + _BATCH]
        frames = pipeline(
            prompt=[c["prompt"] for c in part], num_frames=grammar.FRAMES, height=grammar.HEIGHT,
            width=grammar.WIDTH, num_inference_steps=options.steps, output_type="np",
            guidance_scale=options.guidance, max_sequence_length=grammar.MAX_TOKENS,
            generator=[torch.Generator("cpu").manual_seed(c["seed"]) for c in part]).frames
        clips.append((np.asarray(frames, np.float32) * 255).round().astype(np.uint8))
    return np.concatenate(clips)


@torch.no_grad()
def reconstruct(vae, chosen):
    """The captions' clips, rendered and passed through the VAE."""
    table = render.combination_table([[
        names.index(c[a]) for names, a in zip(
            (grammar.COLOUR_NAMES, grammar.SHAPE_NAMES, grammar.MOTION_NAMES,
             grammar.BACKGROUND_NAMES), ATTRIBUTES)] for c in chosen], vae.device)
    clips, errors = [], []
    for part in table.split(_BATCH):
        clip, _ = render.draw(render.random_scenes(part))
        output = vae.decode(vae.encode(clip.to(vae.dtype)).latent_dist.mode()).sample.float()
        output = ((output + 1) / 2).clamp(0, 1)
        errors.append((output - (clip + 1) / 2).square().mean())
        clips.append((output * 255).round().byte().permute(0, 2, 3, 4, 1).cpu().numpy())
    print(f"vae: {-10 * torch.stack(errors).mean().log10():.2f} dB")
    return np.concatenate(clips)


def score(clips, chosen, name):
    """Prints the parts that are right, and the misses."""
    right, overlaps, misses = dict.fromkeys(ATTRIBUTES + ("all",), 0), [], []
    for clip, caption in zip(clips, chosen):
        seen = meter.measure(clip)
        overlaps.append(seen["overlap"])
        hits = [seen[a] == caption[a] for a in ATTRIBUTES]
        for attribute, hit in zip(right, hits + [all(hits)]):
            right[attribute] += hit
        if not all(hits):
            misses.append(f"  {caption['prompt']!r} seed {caption['seed']}: "
                          + ", ".join(str(seen[a]) for a in ATTRIBUTES)
                          + f" (dx {seen['dx']:.0f} dy {seen['dy']:.0f} growth "
                          f"{seen['growth']:.2f} overlap {seen['overlap']:.2f})")
    parts = "  ".join(f"{a} {100 * n / len(chosen):.1f} %" for a, n in right.items())
    print(f"{name}: n {len(chosen)}  {parts}  overlap {np.mean(overlaps):.3f}")
    print_roundness([clip for clip, c in zip(clips, chosen) if c["shape"] == "circle"])
    print("\n".join(misses[:12]), flush=True)


def print_roundness(circles):
    if not circles:
        return
    with multiprocessing.get_context("spawn").Pool() as pool:
        outlines = pool.map(meter.roundness, circles)
    of_clips = np.array([seen.mean() if len(seen) else 1 for seen in outlines])
    of_frames = np.concatenate(outlines)
    print(f"  {len(circles)} circles: {100 * np.mean(of_clips <= _ROUND):.0f} % of clips and "
          f"{100 * np.mean(of_frames <= _ROUND):.0f} % of frames within {_ROUND:.0%} of round, "
          f"median {np.median(of_clips):.3f}, worst {of_clips.max():.3f}")


def main():
    options = arguments()
    chosen = captions(options)
    if options.save_captions:
        lines = ",\n".join(" " + json.dumps(c) for c in chosen)
        pathlib.Path(options.save_captions).write_text(f"[\n{lines}\n]\n")
        return
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline = CogVideoXPipeline.from_pretrained(
        options.folder, torch_dtype=getattr(torch, options.dtype)).to(device)
    pipeline.set_progress_bar_config(disable=True)
    begin = time.time()
    if options.set == "vae":
        clips = reconstruct(pipeline.vae, chosen)
    else:
        clips = generate(pipeline, chosen, options)
    print(f"{time.time() - begin:.1f} s on {device}")
    score(clips, chosen, f"{options.captions or options.set}, {options.scheduler} {options.steps} "
          f"steps, guidance {options.guidance:g}, {options.dtype}")
    if options.frames:
        np.savez_compressed(options.frames, frames=clips,
                            prompts=np.array([c["prompt"] for c in chosen]))


if __name__ == "__main__":
    main()
