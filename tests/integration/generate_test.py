"""`cogwheel generate` on its own: from a prompt to a file, on several meshes, leaving nothing behind."""

import json
import os
import re
import shutil
import subprocess
import unittest

import media
import numpy as np
from support import SHAPES, SMALL, ProcessTest, die_with_parent, program

PROMPT = "a red circle moving to the right"
FRAMES, HEIGHT, WIDTH, FPS = 17, 96, 128, 8
LATENT_SHAPE = (5, 16, 12, 16)


class GenerateTest(ProcessTest):
    def generate(self, output, *more):
        stdout = self.succeeds("generate", "--prompt", PROMPT, "--seed", "7", "-o", output, *more)
        self.assertEqual([], self.files_left())
        return stdout

    def test_video(self):
        stdout = self.generate("clip.mp4", "--ring", "2", "--ulysses", "2")
        self.assertRegex(stdout, r"^clip\.mp4  seed 7  [0-9.]+ s\n$")
        with open(self.path("clip.mp4"), "rb") as f:
            data = f.read()
        video = media.Mp4(data)
        self.assertEqual(["ftyp", "moov"], video.top[:2])
        self.assertIn("moof", video.top, "fragmented: it can be played while it is made")
        self.assertEqual(("avc1", WIDTH, HEIGHT), (video.codec, video.width, video.height))
        self.assertEqual(FRAMES, video.samples)
        self.assertAlmostEqual(FRAMES / FPS, video.seconds, places=3)
        self.assertEqual([FRAMES / FPS] * 4, video.announced_seconds, "in mvhd, tkhd, mdhd, mehd, before the first frame")
        self.assertEqual(10, video.level, "1.0: 48 macroblocks, 384 a second")
        self.assertEqual(video.media_bytes, video.sample_bytes)
        self.assertEqual({"clip.mp4", "tmp"}, set(os.listdir(self.folder)))

    def test_the_same_seed_gives_the_same_frames_on_every_mesh(self):
        arguments = ("--output-type", "frames", "--steps", "4", "--height", "64", "--width", "80")
        self.generate("one.safetensors", *arguments)
        one = media.read_tensor(self.path("one.safetensors"), "frames")
        self.assertEqual((FRAMES, 64, 80, 3), one.shape)
        self.assertGreater(one.std(), 10, "a picture, not one colour")
        for mesh in (("--ulysses", "2", "--ring", "2"), ("--cfg-parallel", "2",), ("--ring", "3",)):
            self.generate("mesh.safetensors", *arguments, *mesh)
            frames = media.read_tensor(self.path("mesh.safetensors"), "frames")
            difference = np.abs(frames.astype(int) - one.astype(int))
            self.assertLessEqual(difference.max(), 1, mesh)
            self.assertLess((difference > 0).mean(), 0.001, mesh)

    def test_the_same_call_gives_the_same_file(self):
        for name in ("first.mp4", "second.mp4"):
            self.generate(name, *SMALL)
        with open(self.path("first.mp4"), "rb") as first, open(self.path("second.mp4"), "rb") as second:
            self.assertEqual(first.read(), second.read())

    def test_latents(self):
        self.generate("l.safetensors", "--output-type", "latent", "--steps", "1")
        latents = media.read_tensor(self.path("l.safetensors"), "latents")
        self.assertEqual(LATENT_SHAPE, latents.shape)
        self.assertTrue(np.isfinite(latents).all())

    def test_other_sizes(self):
        self.generate("s.safetensors", "--output-type", "frames", "--steps", "2", "--frames", "9", "--height", "48",
                      "--width", "96", "--guidance-scale", "1", "--scheduler", "ddim", "--ring", "2")
        self.assertEqual((9, 48, 96, 3), media.read_tensor(self.path("s.safetensors"), "frames").shape)

    def test_tiling_gives_the_size_that_was_accepted(self):
        for height, width in ((96, 128), (80, 112), (48, 128)):
            self.generate("t.safetensors", "--output-type", "frames", "--steps", "1", "--vae-tiling", "--height", str(height),
                          "--width", str(width), "--ring", "2")
            self.assertEqual((FRAMES, height, width, 3), media.read_tensor(self.path("t.safetensors"), "frames").shape)

    def test_a_tiling_that_would_give_another_size_is_refused(self):
        shutil.copytree(SHAPES, self.path("model"))
        with open(self.path("model/vae/config.json")) as f:
            config = json.load(f)
        with open(self.path("model/vae/config.json"), "w") as f:
            json.dump({**config, "sample_width": 128}, f)
        said = self.fails(4, "generate", "--prompt", PROMPT, "--steps", "1", "--vae-tiling", "--model", "model", "-o", "t.mp4")
        self.assertIn("would make 136 pixels wide of 128; leave it out", said)

    def test_what_the_model_does_not_read_is_told(self):
        result = self.cogwheel("generate", "--prompt", PROMPT + " ß" + " and on" * 200, "--negative-prompt", "dark " * 100,
                               *SMALL, "-o", "w.mp4")
        self.assertEqual(0, result.returncode, result.stderr)
        warnings = [line for line in result.stderr.splitlines() if line.startswith("cogwheel: warning: ")]
        self.assertEqual(3, len(warnings), result.stderr)
        self.assertTrue(warnings[0].endswith("; it does not know: ß, and"), "by its vocabulary: not once more by its tokenizer")
        self.assertRegex(warnings[1], r"^cogwheel: warning: the model reads \d+ tokens; \d+ were cut, from 'and on")
        self.assertRegex(warnings[2], r"negative prompt: the model reads \d+ tokens; \d+ were cut, from 'dark dark")

    def test_standard_output_is_the_file_and_nothing_else(self):
        self.generate("f.mp4", *SMALL)
        result = subprocess.run([program("cogwheel"), "generate", "--prompt", PROMPT, "--seed", "7", *SMALL, "-o", "-"],
                                env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=120, preexec_fn=die_with_parent)
        self.assertEqual(0, result.returncode, result.stderr)
        with open(self.path("f.mp4"), "rb") as f:
            self.assertEqual(f.read(), result.stdout)
        self.assertRegex(result.stderr, rb"-  seed 7  [0-9.]+ s\n$")
        self.assertEqual([], self.files_left())

    def test_json_lines(self):
        result = self.cogwheel("generate", "--prompt", PROMPT, "--json", "--steps", "4", "-o", "j.mp4")
        self.assertEqual(0, result.returncode, result.stderr)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        sequences = [int(event["sequence"]) for event in events]
        self.assertEqual(sorted(set(sequences)), sequences)
        self.assertEqual(1, len({event["job"] for event in events}))
        kinds = [next(iter(event.keys() - {"job", "sequence", "attempt", "time"})) for event in events]
        self.assertEqual("succeeded", kinds[-1])
        for kind in ("started", "progress", "preview", "chunk"):
            self.assertIn(kind, kinds)
        size = os.path.getsize(self.path("j.mp4"))
        self.assertEqual(str(size), events[-1]["succeeded"]["size_bytes"])
        chunks = [event["chunk"] for event in events if "chunk" in event]
        offsets = [int(chunk["offset"]) for chunk in chunks]
        self.assertEqual(sorted({0, *offsets}), offsets)
        self.assertLess(offsets[-1], size)
        denoise = [event["progress"] for event in events if event.get("progress", {}).get("stage") == "STAGE_DENOISE"]
        self.assertEqual([4] * len(denoise), [progress["steps"] for progress in denoise])
        self.assertEqual(4, denoise[-1]["step"])

    def test_a_random_seed_is_printed_and_is_below_two_to_the_32(self):
        stdout = self.succeeds("generate", "--prompt", PROMPT, *SMALL, "-o", "r.mp4")
        seed = int(re.search(r"seed ([0-9]+)", stdout).group(1))
        self.assertLess(seed, 2**32)
        self.succeeds("generate", "--prompt", PROMPT, *SMALL, "-o", "again.mp4", "--seed", str(seed))
        with open(self.path("r.mp4"), "rb") as first, open(self.path("again.mp4"), "rb") as second:
            self.assertEqual(first.read(), second.read())

    def test_settings_of_the_caller_do_not_reach_the_servers(self):
        self.succeeds("generate", "--prompt", PROMPT, *SMALL, "-o", "e.mp4", COGWHEEL_LISTEN="nonsense",
                      COGWHEEL_RANKS="99", http_proxy="http://127.0.0.1:9")

    def test_without_colours_and_cursor_movements_in_a_pipe(self):
        result = self.cogwheel("generate", "--prompt", PROMPT, "--steps", "4", "-o", "p.mp4", TERM="xterm-256color")
        self.assertNotIn("\x1b", result.stderr + result.stdout)


if __name__ == "__main__":
    unittest.main()
