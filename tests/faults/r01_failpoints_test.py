"""R1: the frontend is killed at each of its failpoints and started again: ready within 2 s, and nothing is lost."""

import collections
import os
import random
import signal
import time
import unittest

import failpoints
from caller import Caller
from cluster import FaultCase
from history import History, check
from scale import record, seeds
from support import wait_until
from workload import LONG_STEPS, mixed

READY_LIMIT_S = 2.0
REACHED_LIMIT_S = 20
EARLY_ANSWER_MS = 20
ONLY = os.environ.get("R01_ONLY")  # one failpoint instead of all
RANKS = 2


class FailpointsTest(FaultCase):
    def test_the_list_is_that_of_the_sources(self):
        self.assertEqual(set(failpoints.FRONTEND) | set(failpoints.RANKS), failpoints.in_sources())

    def provoke(self, how, caller, workers, label):
        """Starts what makes the server pass the failpoint; the result joins the callers."""
        join = mixed(caller, label)
        if how == "jobs":
            return join
        job = caller.create(f"{label}-long", seed=5, steps=LONG_STEPS * 2).name
        wait_until(lambda: caller.get(job).start_time.seconds > 0, 30, "the long job runs")
        if how == "rank":
            workers.signal(0, signal.SIGKILL)
        elif how == "drain":
            self.frontend.signal(signal.SIGTERM)
        return join

    def kill_at(self, name, how, caller, workers, chance):
        """Seconds from the start after the kill until ready."""
        label = f"{name}-{chance.randrange(1 << 32)}"
        passes = 1 if how == "start" else chance.randint(1, failpoints.PASSES.get(name, 1))
        if how == "start":
            join = mixed(caller, label)
            time.sleep(chance.uniform(0.2, 1.0))
        self.frontend.kill()
        # An answer that was given too early has the time to arrive.
        armed = f"{name}=delay:{EARLY_ANSWER_MS}@{passes};{name}=kill@{passes}"
        if self.frontend.start_armed(COGWHEEL_FAILPOINT=armed):
            self.assertNotEqual("start", how, f"{name} was not passed")
            join = self.provoke(how, caller, workers, label)
        elif how != "start":
            join = mixed(caller, label)
        self.assertEqual(-signal.SIGKILL, self.frontend.wait(REACHED_LIMIT_S), f"{name} was not passed {passes} times")
        ready_s = self.frontend.start()
        join(60)
        return ready_s

    def test_a_kill_at_each_failpoint(self):
        slowest, kills = collections.Counter(), collections.Counter()
        for seed in seeds(3, 30):
            chance = random.Random(seed)
            self.start_frontend()
            workers = self.start_workers(RANKS)
            history = History()
            caller = Caller(self.frontend.address, history)
            caller.wait_group()
            cases = [(name, how) for name, hows in failpoints.FRONTEND.items() for how in hows.split()
                     if ONLY in (None, name)]
            chance.shuffle(cases)
            for name, how in cases:
                with self.subTest(seed=seed, failpoint=name, passed_by=how):
                    ready_s = self.kill_at(name, how, caller, workers, chance)
                    kills[name] += 1
                    slowest[name] = max(slowest[name], ready_s)
                    self.assertLessEqual(ready_s, READY_LIMIT_S)
            caller.wait_ended([job.name for job in caller.list_all()])
            states = check(history, caller, self.frontend, RANKS)
            record("r01", seed=seed, kills=len(cases), **states)
            caller.close()
            workers.close()
            self.frontend.close()
        for name, ready_s in sorted(slowest.items()):
            record("r01", failpoint=name, kills=kills[name], slowest_ready_s=round(ready_s, 3))


if __name__ == "__main__":
    unittest.main()
