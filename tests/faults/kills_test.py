"""Twelve jobs while the server is killed five times at random moments: all succeed, with the right bytes, once."""

import random
import time
import unittest

from caller import Caller, in_threads
from cluster import FaultCase
from history import History, check
from scale import record, seeds

JOBS, KILLS, RANKS = 12, 5, 2
SUBMITTED_WITHIN_S = 4.0


class KillsTest(FaultCase):
    def test_no_job_is_lost_or_doubled(self):
        for seed in seeds(3, 20):
            with self.subTest(seed=seed):
                self.run_once(seed)

    def run_once(self, seed):
        chance = random.Random(seed)
        self.start_frontend()
        workers = self.start_workers(RANKS)
        history = History()
        caller = Caller(self.frontend.address, history)
        caller.wait_group()
        delays = [chance.uniform(0, SUBMITTED_WITHIN_S) for _ in range(JOBS)]
        ended = {}

        def submit(i):
            time.sleep(delays[i])
            job = caller.create(f"key-{i}", prompt=f"a {i} circle", seed=seed + i, steps=chance.randrange(4, 12)).name
            ended[i] = caller.watch(job, include_video=i % 2 == 0)
        join = in_threads(JOBS, submit)
        ready_s = []
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, SUBMITTED_WITHIN_S / KILLS * 2 - 0.1))
            self.frontend.kill()
            ready_s.append(self.frontend.start())
        join(90)
        self.assertEqual({"succeeded"}, set(ended.values()))
        states = check(history, caller, self.frontend, RANKS)
        self.assertEqual({"SUCCEEDED": JOBS}, dict(states))
        record("kills", seed=seed, jobs=JOBS, kills=KILLS, succeeded=states["SUCCEEDED"], slowest_ready_s=round(max(ready_s), 3),
               submits=sum(o.kind == "create" for o in history.operations))
        caller.close()
        workers.close()
        self.frontend.close()


if __name__ == "__main__":
    unittest.main()
