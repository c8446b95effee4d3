"""Draws the contact sheet: eight prompts, five frames each, by the reference pipeline.

    python sheet.py MODEL_FOLDER samples.png
"""
import sys
import types

import numpy as np
import torch
from diffusers import CogVideoXPipeline
from PIL import Image, ImageDraw

import evaluate
import grammar

_PROMPTS = (
    "a red circle moving to the right", "a green triangle moving left",
    "a blue star moving down", "a red square moving up",
    "an orange star growing on a white background", "the blue square slides to the right on gray",
    "a yellow triangle shrinking on a gray background", "one pink circle moves up on white",
)
_FRAMES, _COLUMNS, _GAP, _LABEL = (0, 4, 8, 12, 16), 2, 4, 16


def main():
    folder, output = sys.argv[1:]
    pipeline = CogVideoXPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    chosen = [{"prompt": p, "seed": i} for i, p in enumerate(_PROMPTS)]
    settings = types.SimpleNamespace(scheduler="dpm", steps=10, guidance=3.0)
    clips = evaluate.generate(pipeline, chosen, settings)

    width = len(_FRAMES) * (grammar.WIDTH + _GAP) + 2 * _GAP
    height = grammar.HEIGHT + _LABEL + 2 * _GAP
    sheet = Image.new("RGB", (width * _COLUMNS, height * -(-len(chosen) // _COLUMNS)), "#303038")
    draw = ImageDraw.Draw(sheet)
    for index, (clip, caption) in enumerate(zip(clips, chosen)):
        x = index % _COLUMNS * width + _GAP
        y = index // _COLUMNS * height + _GAP
        draw.text((x, y), caption["prompt"], fill="white")
        for place, frame in enumerate(_FRAMES):
            sheet.paste(Image.fromarray(np.ascontiguousarray(clip[frame])),
                        (x + place * (grammar.WIDTH + _GAP), y + _LABEL))
    sheet.save(output, optimize=True)


if __name__ == "__main__":
    main()
