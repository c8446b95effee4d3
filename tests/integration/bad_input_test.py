"""Bad input to `cogwheel generate`: exit code 2, one line that names the thing, nothing left behind."""

import json
import os
import shutil
import struct
import unittest
import zlib

from support import SHAPES, ProcessTest

PROMPT = ("generate", "--prompt", "a red circle")


def png(width, height, pixels=b""):
    """A PNG whose header tells this size, whatever its pixels are."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


class RefusalTest(ProcessTest):
    def refused(self, said, *arguments, exit_code=2):
        """One line with all of `said`, and neither processes nor files."""
        before = sorted(os.listdir(self.folder))
        result = self.cogwheel(*arguments)
        self.assertEqual(exit_code, result.returncode, f"{arguments}: {result.stderr}")
        self.assertEqual("", result.stdout)
        # What takes a second or more has said what it is at.
        failure = "".join(line for line in result.stderr.splitlines(True) if not line.startswith("starting "))
        self.assertEqual(1, failure.count("\n"), f"{arguments}: {result.stderr}")
        self.assertTrue(failure.startswith("cogwheel: "), result.stderr)
        self.assertLess(len(failure), 600, result.stderr)
        for part in said:
            self.assertIn(part, failure, arguments)
        self.assertEqual(before, sorted(os.listdir(self.folder)), arguments)
        self.assertEqual([], self.files_left(), arguments)
        return failure


class BadInputTest(RefusalTest):
    def test_values(self):
        for flags, said in (
                ("--steps 0", ("steps", "0", "1")), ("--steps 201", ("steps", "201", "200")),
                ("--steps two", ("steps", "two")), ("--frames 0", ("frames", "0", "1")),
                ("--guidance-scale -1", ("guidance_scale", "-1", "0")), ("--guidance-scale 51", ("guidance_scale", "51", "50")),
                ("--guidance-scale nan", ("guidance_scale", "nan")), ("--guidance-scale inf", ("guidance_scale", "inf")),
                ("--height 100", ("height", "100", "multiple of 16")), ("--height 0", ("height", "0", "16")),
                ("--width -128", ("width", "-128", "16")), ("--fps 0", ("fps", "0", "1")), ("--fps 121", ("fps", "121", "120")),
                ("--seed -2", ("seed", "-2", "0")), ("--seed 18446744073709551616", ("seed", "18446744073709551615")),
                ("--seed 1e3", ("seed", "1e3")), ("--max-sequence-length 0", ("max_sequence_length", "0", "1")),
                ("--scheduler euler", ("scheduler", "euler", "ddim")), ("--output-type gif", ("output_type", "gif", "video")),
                ("--deadline 0", ("deadline", "0")), ("--deadline 604801", ("deadline", "604801", "604800")),
                ("--deadline nan", ("deadline", "nan")), ("--priority 10", ("priority", "10", "9")),
                ("--priority -1", ("priority", "-1", "0")), ("--stepz 5", ("--stepz", "--steps")), ("extra", ("extra",)),
                ("--server nowhere", ("server", "nowhere", "HOST:PORT")), ("--server 127.0.0.1:1 --ring 2", ("--ring", "--server"))):
            with self.subTest(flags):
                self.refused(said, *PROMPT, *flags.split())

    def test_values_that_the_model_refuses(self):
        for flags, said in (
                ("--frames 16", ("frames", "16", "17")), ("--frames 25", ("frames", "25", "17")),
                ("--height 192 --width 192", ("192",)), ("--max-sequence-length 33", ("max_sequence_length", "33", "32"))):
            with self.subTest(flags):
                self.refused(said, *PROMPT, *flags.split())

    def test_prompts(self):
        self.refused(("--prompt",), "generate")
        self.refused(("prompt", "16384"), "generate", "--prompt", "")
        self.refused(("prompt", "16385", "16384"), "generate", "--prompt", "x" * 16385)
        self.refused(("prompt", "UTF-8"), "generate", "--prompt", os.fsdecode(b"\xff\xfe"))
        self.refused(("prompt", "UTF-8"), "generate", "--prompt", os.fsdecode(b"cut \xe2\x82"))
        self.refused(("negative_prompt", "UTF-8"), *PROMPT, "--negative-prompt", os.fsdecode(b"\xc0\x80"))

    def test_meshes(self):
        for flags, said in (
                ("--cfg-parallel 3", ("cfg_parallel", "3", "2")), ("--ring 0", ("ring", "0", "1")),
                ("--ulysses -1", ("ulysses", "-1", "1")), ("--ring 17", ("ring", "17", "16")),
                ("--ring 5 --ulysses 4", ("20", "16")), ("--device cuda", ("cuda",)), ("--device tpu", ("device", "tpu", "cpu")),
                ("--dtype int8", ("dtype", "int8", "fp32"))):
            with self.subTest(flags):
                self.refused(said, *PROMPT, *flags.split())

    def test_outputs(self):
        os.mkdir(self.path("folder"))
        with open(self.path("file"), "w") as f:
            f.write("kept")
        for output, said in (("missing/a.mp4", ("missing", "does not exist")), ("folder", ("is a folder",)),
                             ("file/a.mp4", ("not a folder",)), ("/dev/null", ("/dev/null", "regular")),
                             ("/proc/a.mp4", ("/proc/a.mp4",)), ("", ("output", "empty")), ("x" * 300, ("cannot be written",)),
                             ("/dev/stdout", ("/dev/stdout", "- for standard output")), ("a.webm", (".webm", "legal is .mp4 or none"))):
            with self.subTest(output[:20]):
                self.refused(said, *PROMPT, "-o", output)
        with open(self.path("file")) as f:
            self.assertEqual("kept", f.read())

    def test_images(self):
        images = {"empty.png": b"", "text.png": b"this is no picture", "cut.png": png(8, 8)[:20],
                  "wide.png": png(8193, 1), "pixels.png": png(8000, 8000), "nothing.png": png(0, 8),
                  "gif.gif": b"GIF89a" + bytes(64), "jpeg.jpg": b"\xff\xd8\xff\xe0" + bytes(32)}
        for name, content in images.items():
            with open(self.path(name), "wb") as f:
                f.write(content)
        with open(self.path("large.png"), "wb") as f:
            f.write(png(8, 8))
            f.truncate(16 * 1024 * 1024 + 1)
        for name, said in (("missing.png", ("missing.png", "no such file")), (".", ("regular file",)), ("empty.png", ("empty",)),
                           ("text.png", ("neither PNG nor JPEG",)), ("cut.png", ("image", "ends early")), ("wide.png", ("8193", "8192")),
                           ("pixels.png", ("8000", "33")), ("nothing.png", ("image",)), ("gif.gif", ("a GIF file",)),
                           ("jpeg.jpg", ("image", "damaged JPEG")), ("large.png", ("16777217", "16777216"))):
            with self.subTest(name):
                self.refused(said, *PROMPT, "--image", name)

    def test_an_image_for_a_text_model(self):
        with open(self.path("ok.png"), "wb") as f:
            f.write(png(16, 16, bytes((3 * 16 + 1) * 16)))
        self.refused(("image", "text"), *PROMPT, "--image", "ok.png")


class BadCheckpointTest(RefusalTest):
    def damage(self, file, change):
        """A checkpoint like the shipped one but for `file`; change(path) is called with a private copy of it."""
        model = self.path("model")
        shutil.rmtree(model, ignore_errors=True)
        for folder, _, names in os.walk(SHAPES):
            target = os.path.join(model, os.path.relpath(folder, SHAPES))
            os.makedirs(target)
            for name in names:
                os.symlink(os.path.join(folder, name), os.path.join(target, name))
        path = os.path.join(model, file)
        os.unlink(path)
        shutil.copyfile(os.path.join(SHAPES, file), path)
        change(path)

    def refuses(self, file, change, *said):
        with self.subTest(file=file, said=said):
            self.damage(file, change)
            self.refused((os.path.basename(file), *said), *PROMPT, "--model", self.path("model"))

    @staticmethod
    def edit(**changes):
        def change(path):
            with open(path) as f:
                config = json.load(f)
            for key, value in changes.items():
                if value is None:
                    config.pop(key)
                else:
                    config[key] = value
            with open(path, "w") as f:
                json.dump(config, f)
        return change

    @staticmethod
    def write(content):
        def change(path):
            with open(path, "wb") as f:
                f.write(content)
        return change

    @staticmethod
    def cut(share):
        return lambda path: os.truncate(path, int(os.path.getsize(path) * share))

    @staticmethod
    def header(edit):
        """Changes the JSON header of a safetensors file: `edit` gets the dictionary and a tensor's name."""
        def change(path):
            with open(path, "rb") as f:
                data = f.read()
            (size,) = struct.unpack_from("<Q", data)
            header = json.loads(data[8:8 + size])
            edit(header, sorted(name for name in header if name != "__metadata__")[0])
            text = json.dumps(header).encode()
            with open(path, "wb") as f:
                f.write(struct.pack("<Q", len(text)) + text + data[8 + size:])
        return change

    def test_missing_parts(self):
        self.refused(("nowhere", "no such folder"), *PROMPT, "--model", self.path("nowhere"))
        os.mkdir(self.path("bare"))
        self.refused(("model_index.json",), *PROMPT, "--model", self.path("bare"))
        for file in ("model_index.json", "transformer/config.json", "vae/diffusion_pytorch_model.safetensors",
                     "tokenizer/spiece.model", "text_encoder/model.safetensors"):
            self.refuses(file, os.unlink)

    def test_configs(self):
        self.refuses("model_index.json", self.write(b"{"))
        self.refuses("model_index.json", self.edit(_class_name="StableDiffusionPipeline"), "StableDiffusionPipeline")
        self.refuses("transformer/config.json", self.write(b"\x00\xff" * 50))
        self.refuses("transformer/config.json", self.edit(num_layers=-1), "num_layers")
        self.refuses("transformer/config.json", self.edit(num_attention_heads="many"), "num_attention_heads")
        self.refuses("vae/config.json", self.edit(latent_channels=10**12), "latent_channels")
        self.refuses("scheduler/scheduler_config.json", self.edit(prediction_type="magic"), "prediction_type")
        self.refuses("text_encoder/config.json", self.edit(d_model=0), "d_model")
        self.refuses("cogwheel.json", self.write(b"[]"))
        self.refuses("cogwheel.json", self.edit(defaults={"steps": 1000}), "steps")

    def test_tensors(self):
        file = "transformer/diffusion_pytorch_model.safetensors"
        self.refuses(file, self.write(b""))
        self.refuses(file, self.cut(0.5))
        self.refuses(file, self.write(struct.pack("<Q", 2**62) + b"{}"))
        self.refuses(file, self.write(struct.pack("<Q", 4) + b"nope"))
        self.refuses(file, self.header(lambda header, name: header.pop(name)))
        self.refuses(file, self.header(lambda header, name: header[name].update(shape=[1, 2, 3])))
        self.refuses(file, self.header(lambda header, name: header[name].update(dtype="Q4")), "dtype")
        self.refuses(file, self.header(lambda header, name: header[name].update(data_offsets=[0, 2**60])))
        self.refuses("vae/diffusion_pytorch_model.safetensors", self.cut(0.9))
        self.refuses("text_encoder/model.safetensors", self.header(lambda header, name: header[name].update(data_offsets=[8, 0])))

    def test_tokenizer(self):
        self.refuses("tokenizer/spiece.model", self.write(b"no model"))
        self.refuses("tokenizer/spiece.model", self.cut(0.5))


if __name__ == "__main__":
    unittest.main()
