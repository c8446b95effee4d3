#!/usr/bin/env python3
"""Bytes of a job's denoising per rank, as each rank plans them, and the ranks' resident size.

    tests/bench/memory.py [--frames 33] [--height 192] [--width 256]

Runs one step of a longer clip than the shipped model's own on 1, 2 and 4 ranks (the model's configuration is widened
in a copy; rotary positions have no table) and prints a table and a JSON line. Weights are not in the plan.
"""

import argparse
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import support  # noqa: E402

MESHES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1)]  # ring, ulysses


def widened_model(folder, frames, height, width):
    """A copy of the shipped model whose limits allow the clip."""
    model = os.path.join(folder, "model")
    shutil.copytree(support.SHAPES, model, ignore=shutil.ignore_patterns("train"))
    path = os.path.join(model, "transformer", "config.json")
    with open(path) as f:
        config = json.load(f)
    config.update(sample_frames=frames, sample_height=height // 8, sample_width=width // 8)
    with open(path, "w") as f:
        json.dump(config, f)
    os.remove(os.path.join(model, "cogwheel.json"))
    return model


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) * 1024


class Memory(support.ProcessTest):
    def measure(self, ring, ulysses, clip):
        _, address = self.start_server()
        model = self.path("model")
        if not os.path.isdir(model):
            widened_model(self.folder, *clip)
        worker = self.start_worker(address, ring * ulysses, ring, ulysses, model)
        self.wait_healthy(address)
        self.succeeds("generate", "--server", address, "--prompt", "a red circle moving up", "--steps", "1", "--seed", "1",
                      "--output-type", "latent", "-o", self.path("out.safetensors"), limit_s=600)
        planned = [int(n) for n in re.findall(r'"denoise":\s*"(\d+)"', worker.log_text())]
        ranks = [pid for pid, line in support.processes_of(self.mark).items() if "--local-rank" in line]
        resident = [resident_bytes(pid) for pid in ranks]
        worker.stop()
        self.assertEqual(ring * ulysses, len(planned), "one plan a rank")
        return max(planned), max(resident)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args()
    clip = (options.frames, options.height, options.width)
    test = Memory()
    test.setUp()
    rows = []
    try:
        for ring, ulysses in MESHES:
            rows.append((ring, ulysses, *test.measure(ring, ulysses, clip)))
    finally:
        test.doCleanups()
    one = rows[0][2]
    print(f"{options.frames}x{options.height}x{options.width}, one step, guidance on, fp32\n")
    print("| ring | ulysses | ranks P | planned MiB, largest rank | of one rank's | limit 1.1/P | resident MiB |")
    print("|---|---|---|---|---|---|---|")
    for ring, ulysses, planned, resident in rows:
        ranks = ring * ulysses
        print(f"| {ring} | {ulysses} | {ranks} | {planned / 2**20:.1f} | {planned / one:.3f} | {1.1 / ranks:.3f} "
              f"| {resident / 2**20:.0f} |")
    print(json.dumps([dict(ring=r, ulysses=u, planned_bytes=p, resident_bytes=m) for r, u, p, m in rows]))


if __name__ == "__main__":
    main()
