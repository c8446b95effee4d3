"""R9: a cancel at any moment of a job's life frees the ranks within two steps, two chunks or the text encoding; thousands of
RPCs that give up after 1 ms leave nothing behind."""

import random
import time
import unittest

from caller import Caller, grpc
from cluster import FaultCase
from history import History, check
from resources import resident_bytes
from scale import choose, record, seeds
from stubs import pb
from support import wait_until

RANKS, STEPS = 2, 6
UNIT_S = 0.1  # of a step, a chunk and the text encoding
SLOW = {"SIM_TEXT_MS": "100", "SIM_STEP_MS": "100", "SIM_CHUNK_MS": "100"}
LIFE_S = UNIT_S * (STEPS + 3)
FREE_LIMIT_S = 2 * UNIT_S + 0.1  # two units, and the way there and back on a busy machine
GROWTH_LIMIT = 20 * 1024 * 1024


class CancelsTest(FaultCase):
    def start(self, **environment):
        self.start_frontend()
        self.workers = self.start_workers(RANKS, **environment)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history)
        self.caller.wait_group()

    def free(self):
        return not self.caller.groups()["default"].running_job

    def nothing_lives(self):
        wait_until(lambda: self.frontend.metric("cogwheel_api_live_reactors") == 0, 10, "no reactor lives")

    def cancel_one(self, name, chance):
        """(seconds until the ranks were free, units of work done after the cancel)"""
        job = self.caller.create(name, seed=1, steps=STEPS).name
        time.sleep(chance.uniform(0, LIFE_S))
        wall, begin = time.time(), time.monotonic()
        self.caller.cancel(job)
        wait_until(self.free, 10, "the ranks are free")
        freed_s = time.monotonic() - begin
        self.caller.watch(job)
        events = self.history.events[job][-1]
        late = sum(e.HasField("progress") and e.progress.step > 0 and e.time.ToNanoseconds() * 1e-9 > wall for e in events)
        ended = self.caller.get(job)
        done = ended.state == pb.SUCCEEDED
        self.assertIn(ended.state, (pb.CANCELLED, pb.SUCCEEDED))
        return freed_s, 0 if done else late

    def test_a_cancel_frees_the_ranks(self):
        for seed in seeds(1, 1):
            chance = random.Random(seed)
            self.start(**SLOW)
            for i in range(5):
                self.cancel_one(f"first-{i}", chance)
            before = resident_bytes(self.frontend.pid)
            slowest_s, count = 0.0, choose(30, 200)
            for i in range(count):
                freed_s, late = self.cancel_one(f"key-{i}", chance)
                slowest_s = max(slowest_s, freed_s)
                self.assertLessEqual(late, 2, "units of work after the cancel")
                self.assertLessEqual(freed_s, FREE_LIMIT_S)
            self.nothing_lives()
            growth = resident_bytes(self.frontend.pid) - before
            self.assertLessEqual(growth, GROWTH_LIMIT)
            self.assertEqual(1, self.caller.groups()["default"].epoch, "a cancel ends no epoch")
            states = check(self.history, self.caller, self.frontend, RANKS)
            record("r09", kind="cancels", seed=seed, cancels=count, slowest_free_s=round(slowest_s, 3), units_s=UNIT_S,
                   growth_bytes=growth, **states)
            self.caller.close()

    def hurried(self, i, chance):
        """One RPC with a deadline of 1 ms."""
        stub, name = self.caller.stub, self.known
        kind = chance.randrange(4)
        try:
            if kind == 0:
                stub.GetJob(pb.GetJobRequest(name=name), timeout=0.001)
            elif kind == 1:
                list(stub.WatchJob(pb.WatchJobRequest(name=name, include_video=True), timeout=0.001))
            elif kind == 2:
                list(stub.DownloadVideo(pb.DownloadVideoRequest(name=name), timeout=0.001))
            else:
                operation = self.history.begin("create", key=f"hurried-{i}")
                list(stub.Generate(self.caller.request(f"hurried-{i}", steps=1), timeout=0.001))
                operation.ended("unknown")
        except grpc.RpcError as error:
            self.assertIn(error.code(), (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED,
                                         grpc.StatusCode.RESOURCE_EXHAUSTED))

    def test_deadlines_of_a_millisecond(self):
        for seed in seeds(1, 1):
            chance = random.Random(seed)
            self.start()
            self.known = self.caller.create("known").name
            self.caller.watch(self.known)
            for i in range(200):
                self.hurried(f"first-{i}", chance)
            before = resident_bytes(self.frontend.pid)
            count = choose(1000, 100_000)
            for i in range(count):
                self.hurried(i, chance)
            self.nothing_lives()
            wait_until(self.free, 60, "the ranks are free")
            self.caller.wait_ended([job.name for job in self.caller.list_all()], 120)
            growth = resident_bytes(self.frontend.pid) - before
            self.assertLessEqual(growth, GROWTH_LIMIT)
            states = check(self.history, self.caller, self.frontend, RANKS)
            record("r09", kind="deadlines", seed=seed, calls=count, growth_bytes=growth, **states)
            self.caller.close()


if __name__ == "__main__":
    unittest.main()
