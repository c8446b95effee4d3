"""Jobs that do not fit into a rank's memory between jobs that do: each is refused alone, in one line, and nobody restarts."""

import json
import os
import re
import resource
import unittest

from support import SMALL, ProcessTest, processes_of

MEGA = 10**6
# What a rank keeps for itself (kBesideOnCpu of worker/pipeline/memory_plan.cc), and room for a small clip, not for the
# shipped model's own size, whose decode takes 136 MB.
RESERVE = 96 * MEGA
ROOM = 60 * MEGA
PAIRS = int(os.environ.get("PAIRS", "3"))  # of a clip that does not fit and one that does; the long form is 20


def kilobytes(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"{name}:\s+(\d+) kB", f.read()).group(1))


class MemoryTest(ProcessTest):
    def ranks(self):
        """Local rank -> pid."""
        found = {}
        for pid, command in processes_of(self.mark).items():
            place = re.search(r"--local-rank (\d+)", command)
            if place:
                found[int(place.group(1))] = pid
        return found

    def epoch(self, address):
        return json.loads(self.succeeds("groups", "--server", address, "--json"))["groups"][0]["epoch"]

    def job(self, address, name):
        return json.loads(self.succeeds("get", name, "--server", address, "--json"))

    def is_refused(self, address, limit):
        """A clip of the model's own size. Returns the size that would fit."""
        line = self.fails(4, "generate", "--server", address, "--prompt", "big", "--steps", "1", "-o", "big.mp4")
        found = re.fullmatch(r"(jobs/\w+) failed: rank (.*) refused the job: decode needs (\d+) MB, (\d+) MB are free "
                             rf"\({limit}\); (\d+) frames at (\d+)x(\d+) would fit", line)
        self.assertTrue(found, line)
        self.assertGreater(int(found.group(3)), int(found.group(4)), line)
        job = self.job(address, found.group(1))
        self.assertEqual(("FAILED", 1), (job["state"], job.get("attempt", 1)), job)
        self.assertEqual("OUT_OF_MEMORY", job["error"]["reason"], job)
        self.assertEqual(8, job["error"]["code"], job)  # RESOURCE_EXHAUSTED
        return found.groups()[4:]

    def runs(self, address, frames, height, width):
        self.succeeds("generate", "--server", address, "--prompt", "fits", "--frames", frames, "--height", height,
                      "--width", width, "--steps", "1", "-o", "fits.mp4")

    def refuse_and_run(self, ranks, mesh, limited, kind, status, limit):
        """Of `ranks` ranks one is limited; then it is no more."""
        _, worker, address = self.start_service(ranks, *mesh)
        before, epoch = self.ranks(), self.epoch(address)
        self.succeeds("generate", "--server", address, "--prompt", "first", *SMALL, "-o", "first.mp4")
        pid = before[limited]
        unlimited = resource.prlimit(pid, kind)
        size = kilobytes(pid, status) * 1024 + RESERVE + ROOM
        resource.prlimit(pid, kind, (size, unlimited[1]))
        fits = []
        for _ in range(PAIRS):
            fits = self.is_refused(address, limit)
            self.succeeds("generate", "--server", address, "--prompt", "small", *SMALL, "-o", "small.mp4")
        self.runs(address, *fits)
        resource.prlimit(pid, kind, unlimited)
        self.runs(address, "17", "96", "128")
        self.assertEqual(before, self.ranks(), "nobody restarted")
        self.assertEqual(epoch, self.epoch(address))
        self.assertIsNone(worker.process.poll())

    def test_address_space_of_a_rank_alone(self):
        self.refuse_and_run(1, (1, 1), 0, resource.RLIMIT_AS, "VmSize", "ulimit -v")

    # In a round of two chunks the second is rank 1's.
    def test_data_of_one_rank_of_four(self):
        self.refuse_and_run(4, (2, 2), 1, resource.RLIMIT_DATA, "VmData", "ulimit -d")


if __name__ == "__main__":
    unittest.main()
