"""A picture's way through the programs: turned as its tag says, refused at submit, or failed by the rank alone."""

import io
import json
import os
import shutil
import struct
import unittest

import media
from support import ROOT, ProcessTest

import numpy as np
from PIL import Image, ImageOps

GOLDEN = os.path.join(ROOT, "tests", "golden")
WIDTH, HEIGHT = 80, 48  # the model's only size


def write_tensors(path, lines, rng):
    """A safetensors file of F32 tensors with the laws of tests/golden/checkpoints; the numbers are numpy's."""
    header, blobs, at = {}, [], 0
    for name, shape, mean, deviation, _ in lines:
        blob = (mean + deviation * rng.standard_normal(shape)).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_checkpoint(folder):
    with open(os.path.join(GOLDEN, "checkpoints", "i2v-learned.json")) as file:
        checkpoint = json.load(file)
    for name, content in checkpoint["configs"].items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file)
    shutil.copy(os.path.join(GOLDEN, "spiece.model"), os.path.join(folder, "tokenizer"))
    rng = np.random.default_rng(5)
    for part, lines in checkpoint["tensors"].items():
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        write_tensors(os.path.join(folder, part, stem + ".safetensors"), lines, rng)


def photo(width=WIDTH, height=HEIGHT):
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([3 * x % 256, 5 * y % 256, (x // 8 + y // 8) % 2 * 255], -1).astype(np.uint8))


class ImageToVideoTest(ProcessTest):
    def write(self, name, image, kind, **options):
        image.save(self.path(name), kind, **options)
        return name

    def test_a_picture(self):
        write_checkpoint(self.path("i2v"))
        _, address = self.start_server()
        self.start_worker(address, 2, 1, 2, self.path("i2v"))
        self.wait_healthy(address)
        asked = ("generate", "--server", address, "--prompt", "x", "--seed", "3", "--steps", "1")

        def latents(name):
            self.succeeds(*asked, "--output-type", "latent", "-o", "l.safetensors", "--image", name)
            return media.read_tensor(self.path("l.safetensors"), "latents")

        exif = Image.Exif()
        exif[274] = 6  # stored lying on its side
        lying = photo().transpose(Image.Transpose.ROTATE_90)
        for name, kind in (("turned.jpg", "JPEG"), ("turned.webp", "WEBP"), ("wrong_suffix.png", "JPEG")):
            turned = self.write(name, lying, kind, exif=exif)
            with open(self.path(turned), "rb") as file:
                upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file.read()))).convert("RGB")
            self.assertEqual((WIDTH, HEIGHT), upright.size)
            expected = latents(self.write("upright.png", upright, "PNG"))
            self.assertTrue(np.array_equal(expected, latents(turned)), name)
        self.assertFalse(np.array_equal(expected, latents(self.write("lying.png", lying, "PNG"))))

        epoch = self.epoch(address)
        self.write("picture.png", photo(), "PNG", compress_level=0)
        with open(self.path("picture.png"), "r+b") as file:
            file.seek(60)  # in the first row: a stored block's bytes, then its checksum, no longer agree
            file.write(b"????")
        self.assertRegex(self.fails(4, *asked, "-o", "c.mp4", "--image", "picture.png"), "image is a damaged PNG file: row [0-9]+ of its 48")
        with open(self.path("cut.jpg"), "wb") as file, open(self.path("turned.jpg"), "rb") as whole:
            file.write(whole.read()[:-40])
        self.assertIn("ends early", self.fails(2, *asked, "-o", "c.mp4", "--image", "cut.jpg"))
        self.write("some.gif", photo(), "GIF")
        self.assertIn("a GIF file", self.fails(2, *asked, "-o", "c.mp4", "--image", "some.gif"))
        self.assertTrue(np.array_equal(expected, latents("upright.png")), "the group serves on")
        self.assertEqual(epoch, self.epoch(address))

    def epoch(self, address):
        (group,) = json.loads(self.succeeds("groups", "--server", address, "--json"))["groups"]
        return group["epoch"]


if __name__ == "__main__":
    unittest.main()
