"""Draws the moving contact sheet of the README: the model's first eight sample prompts, by the
programs themselves.

    python sheet.py MODEL_FOLDER prompts.webp     # `cogwheel` on the PATH, Pillow and numpy
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CLIPS, _COLUMNS, _WIDTH, _HEIGHT, _GAP, _TEXT = 8, 4, 200, 150, 8, 13  # 840 pixels wide: a page's column
_BACKGROUND, _INK = "#24262c", "#ffffff"
_LAST_FRAME_MS = 900


def frames_of(folder, prompt, seed):
    """-> [F, H, W, 3] uint8"""
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "frames.safetensors"
        subprocess.run(["cogwheel", "generate", "--model", folder, "--prompt", prompt, "--seed", str(seed),
                        "--output-type", "frames", "-o", path], check=True, capture_output=True)
        data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    tensor = json.loads(data[8:8 + length])["frames"]
    start, end = tensor["data_offsets"]
    return np.frombuffer(data[8 + length + start:8 + length + end], np.uint8).reshape(tensor["shape"])


def wrapped(text, font):
    """The words in lines that fit a clip's width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= _WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def sheet_at(frame, clips, prompts, font):
    label, rows = 2 * (_TEXT + 4) + 4, -(-len(prompts) // _COLUMNS)
    cell = (_WIDTH + _GAP, _HEIGHT + label + _GAP)
    sheet = Image.new("RGB", (cell[0] * _COLUMNS + _GAP, cell[1] * rows + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (clip, prompt) in enumerate(zip(clips, prompts)):
        x, y = index % _COLUMNS * cell[0] + _GAP, index // _COLUMNS * cell[1] + _GAP
        picture = Image.fromarray(clip[min(frame, len(clip) - 1)])
        sheet.paste(picture.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC), (x, y))
        for line, text in enumerate(wrapped(prompt, font)):
            draw.text((x, y + _HEIGHT + 3 + line * (_TEXT + 4)), text, fill=_INK, font=font)
    return sheet


def main():
    folder, output = sys.argv[1:]
    own = json.loads((pathlib.Path(folder) / "cogwheel.json").read_text())
    prompts = own["sample_prompts"][:_CLIPS]
    clips = [frames_of(folder, prompt, seed) for seed, prompt in enumerate(prompts)]
    font = ImageFont.load_default(_TEXT)
    count = max(len(clip) for clip in clips)
    sheets = [sheet_at(frame, clips, prompts, font) for frame in range(count)]
    frame_ms = 1000 // own["defaults"]["fps"]
    sheets[0].save(output, save_all=True, append_images=sheets[1:], loop=0, quality=80, method=6,
                   duration=[frame_ms] * (count - 1) + [_LAST_FRAME_MS])


if __name__ == "__main__":
    main()
