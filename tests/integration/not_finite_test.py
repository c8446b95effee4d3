"""A checkpoint whose numbers make others that are not finite: the job fails with the place, in one line, and exit 4."""

import json
import os
import shutil
import struct
import unittest
import urllib.request

from support import SHAPES, SMALL, ProcessTest

DIT = "transformer/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
NAN = {"F32": b"\x00\x00\xc0\x7f", "F16": b"\x00\x7e", "BF16": b"\xc0\x7f"}


def plant_nan(path, tensor):
    """The tensor's first value is NaN from now on."""
    with open(path, "r+b") as f:
        size, = struct.unpack("<Q", f.read(8))
        entry = json.loads(f.read(size))[tensor]
        f.seek(8 + size + entry["data_offsets"][0])
        f.write(NAN[entry["dtype"]])


class NotFiniteTest(ProcessTest):
    def model(self, file, tensor):
        folder = self.path("model")
        shutil.copytree(SHAPES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("train"))
        plant_nan(os.path.join(folder, file), tensor)
        return folder

    def test_the_job_fails_with_the_place(self):
        for file, tensor, place in ((DIT, "proj_out.bias", "step 1 of 1"), (VAE, "decoder.conv_out.conv.bias", "decoded frame 1")):
            with self.subTest(tensor=tensor):
                said = self.fails(4, "generate", "--prompt", "x", *SMALL, "--model", self.model(file, tensor),
                                  "--ring", "2", "--ulysses", "2", "-o", "x.mp4")
                self.assertIn(f"not finite: {place} on rank", said)
                self.assertFalse(os.path.exists(self.path("x.mp4")))

    def test_the_group_serves_on_and_counts(self):
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                                  "--data-dir", self.path("data"))
        ready = server.ready_line()
        address = ready["listen"]
        self.start_worker(address, 2, 2, 1, self.model(DIT, "proj_out.bias"))
        self.wait_healthy(address)
        for _ in range(2):
            self.fails(4, "generate", "--server", address, "--prompt", "x", *SMALL, "-o", "x.mp4")
        group, = json.loads(self.succeeds("groups", "--server", address, "--json"))["groups"]
        self.assertEqual("1", group["epoch"])
        job = json.loads(self.succeeds("list", "--server", address, "--json").splitlines()[0])
        self.assertEqual((13, "NOT_FINITE", 1), (job["error"]["code"], job["error"]["reason"], job["attempt"]))
        with urllib.request.urlopen(f"http://{ready['admin']}/metrics", timeout=10) as metrics:
            self.assertIn('cogwheel_rank_not_finite_total{group="default"} 2\n', metrics.read().decode())


if __name__ == "__main__":
    unittest.main()
