"""R15: the server's wall clock jumps by an hour, forwards and back: no job expires early and none is stuck."""

import os
import random
import time
import unittest

from caller import Caller
from cluster import FaultCase
from history import History, check
from scale import record, seeds
from stubs import pb
from support import BIN

RANKS, HOUR_S = 1, 3600
JOB_DEADLINE_S, EXPIRED_WITHIN_S = 600, 3


class WallClockTest(FaultCase):
    def set_offset(self, seconds):
        path = self.path("wall-clock")
        with open(path + ".new", "w") as f:
            f.write(str(seconds))
        os.rename(path + ".new", path)

    def test_jumps_of_an_hour(self):
        for seed in seeds(3, 20):
            with self.subTest(seed=seed):
                self.run_once(seed)

    def run_once(self, seed):
        chance = random.Random(seed)
        self.set_offset(0)
        shim = os.path.join(os.path.abspath(BIN), "libwall_clock.so")
        self.start_frontend(LD_PRELOAD=shim, WALL_CLOCK_FILE=self.path("wall-clock"))
        workers = self.start_workers(RANKS)
        history = History()
        caller = Caller(self.frontend.address, history, limit_s=30)
        caller.wait_group()
        self.expires_in_time(caller, seed)
        jumps = [HOUR_S, 0, -HOUR_S, 0]
        chance.shuffle(jumps)
        jobs = []
        for i, offset in enumerate(jumps):
            request = caller.request(f"key-{i}", seed=i, steps=50)
            request.deadline.seconds = JOB_DEADLINE_S
            job = caller.call("create", caller.stub.CreateJob, pb.CreateJobRequest(request=request), key=f"key-{i}")
            self.assertAlmostEqual(([0] + jumps)[i], job.create_time.seconds - time.time(), delta=60, msg="the clock has jumped")
            jobs.append(job.name)
            jobs.append(caller.create(f"free-{i}", seed=i, steps=20).name)
            time.sleep(chance.uniform(0, 0.5))
            self.set_offset(offset)
        self.assertEqual({"succeeded"}, {caller.watch(job) for job in jobs})
        states = check(history, caller, self.frontend, RANKS)
        record("r15", seed=seed, jumps=jumps, **states)
        caller.close()
        workers.close()
        self.frontend.close()

    def expires_in_time(self, caller, seed):
        """A deadline still ends a job when the clock has jumped back meanwhile. Before any job has shown how long it takes: one
        that cannot meet its deadline would be refused."""
        request = caller.request("late", seed=seed, steps=200)
        request.deadline.nanos = 500_000_000
        begin = time.monotonic()
        job = caller.call("create", caller.stub.CreateJob, pb.CreateJobRequest(request=request), key="late")
        self.set_offset(-HOUR_S)
        self.assertEqual("expired", caller.watch(job.name))
        self.assertLess(time.monotonic() - begin, EXPIRED_WITHIN_S)
        self.set_offset(0)


if __name__ == "__main__":
    unittest.main()
