"""R7: the way between the frontend and a rank, or between two ranks, is delayed, swallowed, reset or dropped for 1, 5 or
30 s: nothing is lost and the group is back within 10 s of the link."""

import random
import time
import unittest

from caller import Caller
from cluster import FaultCase
from history import History, check
from proxy import Proxy
from scale import choose, record, seeds

RANKS = 2
HEAL_LIMIT_S = 10
STEPS = 30
COLLECTIVE_DEADLINE_S = 20  # N of reliability.md: no rank is left in a collective


class PartitionsTest(FaultCase):
    def start(self, seed, **environment):
        self.start_frontend()
        self.proxy = Proxy(self.frontend.address, seed)
        self.addCleanup(self.proxy.close)
        self.workers = self.start_workers(RANKS, frontend=self.proxy.address, **environment)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history, limit_s=120)
        self.caller.wait_group()

    def finish(self, kind, seed, seconds, jobs):
        begin = time.monotonic()
        self.caller.wait_group(HEAL_LIMIT_S)
        heal_s = time.monotonic() - begin
        self.assertEqual({"succeeded"}, {self.caller.watch(job) for job in jobs})
        check(self.history, self.caller, self.frontend, RANKS)
        record("r07", seed=seed, fault=kind, seconds=seconds, heal_s=round(heal_s, 3),
               epoch=self.caller.groups()["default"].epoch)
        self.caller.close()
        self.workers.close()
        self.proxy.close()
        self.frontend.close()

    def jobs(self, count=4):
        return [self.caller.create(f"key-{i}", seed=i, steps=STEPS).name for i in range(count)]

    def break_the_way(self, kind, chance):
        if kind == "black hole":
            self.proxy.swallow_one()
        elif kind == "reset":
            self.proxy.reset(chance.randrange)
        elif kind == "delay":
            self.proxy.delay_s = (0.025, 0.125)
        else:
            self.proxy.drop = 0.5
            self.proxy.reset()

    def test_frontend_and_rank(self):
        for seed in seeds(1, 4):
            chance = random.Random(seed)
            for kind in ("reset", "delay", "drop", "black hole"):
                for seconds in choose((20,) if kind == "black hole" else (1,), (1, 5, 30)):
                    with self.subTest(seed=seed, fault=kind, seconds=seconds):
                        self.start(seed)
                        jobs = self.jobs()
                        time.sleep(chance.uniform(0, 0.3))
                        self.break_the_way(kind, chance)
                        time.sleep(seconds)
                        self.proxy.heal()
                        self.finish(kind, seed, seconds, jobs)

    def test_rank_and_rank(self):
        """A rank that stays in its step while its peers wait for it, and while it goes on telling the frontend that it lives."""
        for seed in seeds(1, 20):
            rank = random.Random(seed).randrange(RANKS)
            with self.subTest(seed=seed, rank=rank):
                self.start(seed, COGWHEEL_FAILPOINT=f"rank.step/{rank}=delay:60000@3", COGWHEEL_FAILPOINT_MARK=self.path(f"m{seed}"))
                jobs = self.jobs(2)
                self.caller.wait_group(COLLECTIVE_DEADLINE_S + HEAL_LIMIT_S, after_epoch=1)
                self.finish("rank and rank", seed, 60, jobs)


if __name__ == "__main__":
    unittest.main()
