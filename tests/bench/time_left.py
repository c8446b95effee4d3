#!/usr/bin/env python3
"""How honest "time left" is: of jobs of four sizes, what is told at 10, 50 and 90 % of each against what it then took.

    time_left.py [--ranks N] [--model FOLDER]        default 1 rank of the shipped model; needs `scripts/build release`

Cold: the first job of a fresh server and file of costs, for each size. Warm: 20 jobs in turn on one server whose file of
costs the cold ones left behind. Judged: within max(25 %, 1 s) of the truth. Run it on a machine that does nothing else.
"""

import argparse
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from support import SHAPES, ProcessTest  # noqa: E402

from google.protobuf import json_format  # noqa: E402
from stubs import pb  # noqa: E402

# frames, height, width, steps: short and long, mostly steps and mostly decode
SIZES = ((17, 96, 128, 10), (17, 96, 128, 80), (9, 64, 64, 120), (17, 96, 128, 2))
POINTS = (0.1, 0.5, 0.9)
WARM_JOBS = 20
SHARE, SECONDS = 0.25, 1.0

parser = argparse.ArgumentParser()
parser.add_argument("--ranks", type=int, default=1)
parser.add_argument("--model", default=SHAPES)
OPTIONS, REST = parser.parse_known_args()


def told_and_true(events, point):
    """Seconds left as they stood at this part of the job's time, and as they were; told is None where nothing was."""
    begin = next(event.time for event in events if event.HasField("started")).ToNanoseconds()
    end = events[-1].time.ToNanoseconds()
    moment = begin + point * (end - begin)
    told = None
    for event in events:
        if event.HasField("progress") and event.time.ToNanoseconds() <= moment:
            left = event.progress
            told = left.time_left.ToNanoseconds() / 1e9 if left.HasField("time_left") else None
    return told, (end - moment) / 1e9


class TimeLeft(ProcessTest):
    def service(self, costs):
        server, address = self.start_server("--costs-file", costs)
        worker = self.start_worker(address, OPTIONS.ranks, 1, OPTIONS.ranks, OPTIONS.model)
        self.wait_healthy(address, 600)
        return address, (worker, server)

    def run_job(self, address, size):
        frames, height, width, steps = map(str, size)
        text = self.succeeds("generate", "--prompt", "a red circle moving to the right", "--frames", frames, "--height", height,
                             "--width", width, "--steps", steps, "--json", "-o", "v.mp4", "--server", address, limit_s=3600)
        return [json_format.Parse(line, pb.JobEvent()) for line in text.splitlines()]

    def judge(self, kind, size, events):
        """The table's row; how many points are off."""
        cells, off = [], 0
        for point in POINTS:
            told, true = told_and_true(events, point)
            good = told is not None and abs(told - true) <= max(SHARE * true, SECONDS)
            off += not good
            cells.append(f"{'–' if told is None else f'{told:.1f}'} / {true:.1f}{'' if good else ' **off**'}")
        frames, height, width, steps = size
        print(f"| {kind} | {frames}×{height}×{width}, {steps} steps | {' | '.join(cells)} |", flush=True)
        return off

    def test_time_left(self):
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {OPTIONS.ranks} ranks")
        print("| | size | told / true at 10 % | 50 % | 90 % |\n|---|---|---|---|---|")
        cold = 0
        for number, size in enumerate(SIZES):
            address, children = self.service(self.path(f"costs-{number}.json"))
            cold += self.judge("cold", size, self.run_job(address, size))
            for child in children:
                child.stop()
        address, _ = self.service(self.path("costs-0.json"))
        warm = sum(self.judge("warm", size, self.run_job(address, size))
                   for size in (SIZES[job % len(SIZES)] for job in range(WARM_JOBS)))
        print(f"off: {cold} of {len(SIZES) * len(POINTS)} cold, {warm} of {WARM_JOBS * len(POINTS)} warm")
        self.assertEqual((0, 0), (cold, warm))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST])
