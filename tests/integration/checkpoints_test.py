"""Checkpoints as people have them, on the real programs: paths and names, the hub's cache, files of either library."""

import json
import os
import shutil
import struct
import unittest

from support import SHAPES, SMALL, ProcessTest

REVISION = "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01"
DIT = "transformer/diffusion_pytorch_model.safetensors"


class CheckpointTest(ProcessTest):
    def generate(self, model, *flags, **more):
        self.succeeds("generate", "--prompt", "x", *SMALL, "--seed", "5", "--model", model, "--output-type", "latent",
                      "-o", "out.safetensors", *flags, **more)
        with open(self.path("out.safetensors"), "rb") as f:
            return f.read()

    def refusal(self, model, *flags, **more):
        said = self.fails(2, "generate", "--prompt", "x", *SMALL, "--model", model, *flags, **more)
        self.assertLess(len(said), 1000)
        return said

    def copy(self, name):
        """A copy of the shipped model that shares its files by links."""
        for folder, _, files in os.walk(SHAPES):
            target = os.path.join(self.path(name), os.path.relpath(folder, SHAPES))
            os.makedirs(target)
            for file in files:
                os.symlink(os.path.join(folder, file), os.path.join(target, file))
        return self.path(name)

    def hub(self, repository="models--zai-org--CogVideoX1.5-5B-I2V"):
        """(cache, snapshot): the shipped model in the layout of the hub's cache."""
        cache = self.path("home/firstname.lastname/.cache/huggingface/hub")
        snapshot = os.path.join(cache, repository, "snapshots", REVISION)
        blobs = os.path.join(cache, repository, "blobs")
        os.makedirs(blobs)
        for number, (folder, _, files) in enumerate(os.walk(SHAPES)):
            target = os.path.normpath(os.path.join(snapshot, os.path.relpath(folder, SHAPES)))
            os.makedirs(target)
            for file in files:
                blob = os.path.join(blobs, f"{number}{file}")
                shutil.copy(os.path.join(folder, file), blob)
                os.symlink(os.path.relpath(blob, target), os.path.join(target, file))
        return cache, snapshot


class PathTest(CheckpointTest):
    def setUp(self):
        super().setUp()
        self.expected = self.generate(SHAPES)

    def test_any_path(self):
        deep = "/".join(["d" * 200] * 15)
        os.makedirs(self.path(deep))
        for name in (deep + "/model", os.fsdecode(b"\xff\xfe/plain"), "-m", "n" * 255, "two\nlines/m"):
            with self.subTest(name=name[:20]):
                os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
                os.symlink(SHAPES, self.path(name))
                self.assertEqual(self.expected, self.generate(self.path(name)))
        self.assertIn("two?lines/model_index.json is missing; m has it", self.refusal(self.path("two\nlines")))

    def test_names_that_cannot_be(self):
        model = self.copy("model")
        os.unlink(os.path.join(model, "cogwheel.json"))  # which has a name
        for name in (os.fsdecode(b"\xff\xfe"), "two\nlines", "bell\a", "next\u0085line"):
            os.symlink(model, self.path(name))
            self.assertIn("UTF-8 without control characters", self.refusal(self.path(name)))

    def test_the_hubs_cache(self):
        cache, snapshot = self.hub()
        self.assertEqual(self.expected, self.generate(snapshot))
        home = self.path("home/firstname.lastname")
        for variables in ({"HF_HUB_CACHE": cache}, {"HF_HOME": os.path.dirname(cache)},
                          {"XDG_CACHE_HOME": os.path.join(home, ".cache")}, {"HOME": home}):
            clean = dict.fromkeys(("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"), "") | variables
            self.assertEqual(self.expected, self.generate("zai-org/CogVideoX1.5-5B-I2V", **clean))
        said = self.refusal("zai-org/CogVideoX-5b", HF_HUB_CACHE=cache)
        self.assertIn(cache, said)
        self.assertIn("zai-org/CogVideoX1.5-5B-I2V", said)

    def test_the_worker_names_the_model_after_its_repository(self):
        cache, snapshot = self.hub()
        os.unlink(os.path.join(snapshot, "cogwheel.json"))
        _, address = self.start_server()
        worker = self.start_child("cogwheel-worker", "--frontend", address, "--model", snapshot)
        worker.ready_line()
        self.wait_healthy(address)
        models = [json.loads(line) for line in self.succeeds("models", "--server", address, "--json").splitlines()]
        self.assertIn("CogVideoX1.5-5B-I2V", json.dumps(models))


class FilesTest(CheckpointTest):
    def tensors(self, path):
        with open(path, "rb") as f:
            (size,) = struct.unpack("<Q", f.read(8))
            header, data = json.loads(f.read(size)), f.read()
        header.pop("__metadata__", None)
        return {name: (info, data[slice(*info["data_offsets"])]) for name, info in header.items()}

    def write(self, path, tensors):
        header, data = {}, b""
        for name, (info, content) in tensors.items():
            header[name] = {**info, "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        text = json.dumps(header).encode()
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)

    def test_two_generations_of_the_text_encoder(self):
        model = self.copy("model")
        text_encoder, shard = os.path.join(model, "text_encoder"), "model-00001-of-00001.safetensors"
        good = self.tensors(os.path.join(text_encoder, "model.safetensors"))
        self.write(os.path.join(text_encoder, shard), {name: (info, bytes(len(data))) for name, (info, data) in good.items()})
        with open(os.path.join(text_encoder, "model.safetensors.index.json"), "w") as f:
            json.dump({"metadata": {}, "weight_map": dict.fromkeys(good, shard)}, f)
        self.assertEqual(self.generate(SHAPES), self.generate(model))

    def test_a_stale_index_of_the_transformer(self):
        model = self.copy("model")
        index = os.path.join(model, "transformer", "diffusion_pytorch_model.safetensors.index.json")
        with open(index, "w") as f:
            json.dump({"metadata": {}, "weight_map": {"proj_out.bias": "diffusion_pytorch_model-00001-of-00002.safetensors"}}, f)
        said = self.refusal(model)
        self.assertIn("diffusion_pytorch_model-00001-of-00002.safetensors", said)
        self.assertIn(f"remove the index if {os.path.join(model, DIT)}", said)

    def test_variants(self):
        model = self.copy("model")
        os.rename(os.path.join(model, DIT), os.path.join(model, DIT.replace(".safetensors", ".fp16.safetensors")))
        expected = self.generate(SHAPES)
        self.assertIn("diffusion_pytorch_model.fp16.safetensors; choose it with --variant fp16", self.refusal(model))
        self.assertEqual(expected, self.generate(model, "--variant", "fp16"))
        self.assertIn("choose it with --variant fp16", self.refusal(model, "--variant", "bf16"))
        own = os.path.join(model, "cogwheel.json")
        with open(own) as f:
            content = json.load(f)
        os.unlink(own)
        with open(own, "w") as f:
            json.dump({**content, "variant": "fp16"}, f)
        self.assertEqual(expected, self.generate(model))

    def test_pickles(self):
        for file in ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.pt"):
            model = self.copy("model-" + file)
            os.unlink(os.path.join(model, DIT))
            with open(os.path.join(model, "transformer", file), "wb") as f:
                f.write(b"x")
            said = self.refusal(model)
            self.assertIn(file, said)
            self.assertIn("save_pretrained", said)


if __name__ == "__main__":
    unittest.main()
