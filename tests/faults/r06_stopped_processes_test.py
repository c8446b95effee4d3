"""R6: a rank or the frontend is stopped for 5 or 30 s and goes on: the dead are told from the slow, and a zombie is fenced."""

import os
import random
import signal
import time
import unittest

from caller import Caller
from epochs import read_mark
from history import History, check, check_uncharged
from rank_loss import RANKS, RankLossCase, Simulated
from scale import LONG, choose, record, seeds
from stubs import pb

SHORT_STOP_S, LONG_STOP_S = 3, 30
STEPS = 20


class StoppedProcessesTest(RankLossCase):
    def start(self, phase=None, rank=0, passes=1):
        self.start_frontend()
        self.mark_file = self.path(f"mark-{time.monotonic_ns()}")
        armed = {"COGWHEEL_FAILPOINT": f"{phase}/{rank}=stop@{passes}", "COGWHEEL_FAILPOINT_MARK": self.mark_file} if phase else {}
        self.workers = self.start_workers(RANKS, **armed)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history, limit_s=90)
        self.caller.wait_group()

    def finish(self):
        states = check(self.history, self.caller, self.frontend, RANKS)
        check_uncharged(self.frontend)
        self.caller.close()
        self.workers.close()
        self.frontend.close()
        return states

    def test_a_rank_that_stops_for_long_is_dead(self):
        for seed in seeds(1, 20):
            chance = random.Random(seed)
            for rank in range(RANKS) if LONG else (chance.randrange(RANKS),):
                with self.subTest(seed=seed, rank=rank):
                    figures = self.lose(Simulated(self), "stop", "rank.step", rank, seed, chance.randrange(1, 5), LONG_STOP_S)
                    record("r06", seed=seed, stopped="rank", rank=rank, **figures)

    def test_a_rank_that_stops_for_a_moment_goes_on(self):
        for seed in seeds(1, 20):
            with self.subTest(seed=seed):
                self.start("rank.step", random.Random(seed).randrange(RANKS), 5)
                job = self.caller.create("hit", seed=seed, steps=STEPS).name
                _, pid, _ = read_mark(self.mark_file, 20)
                time.sleep(SHORT_STOP_S)
                os.kill(pid, signal.SIGCONT)
                self.assertEqual("succeeded", self.caller.watch(job))
                ended = self.caller.get(job)
                self.assertEqual((pb.SUCCEEDED, 1, 1), (ended.state, ended.epoch, ended.attempt))
                self.finish()
                record("r06", seed=seed, stopped="rank for a moment", seconds=SHORT_STOP_S)

    def test_a_frontend_that_stops_loses_nothing(self):
        for seed in seeds(1, 20):
            for seconds in choose((5,), (5, LONG_STOP_S)):
                with self.subTest(seed=seed, seconds=seconds):
                    self.start()
                    jobs = [self.caller.create(f"key-{i}", seed=i, steps=STEPS).name for i in range(5)]
                    time.sleep(random.Random(seed).uniform(0, 0.5))
                    self.frontend.signal(signal.SIGSTOP)
                    time.sleep(seconds)
                    self.frontend.signal(signal.SIGCONT)
                    self.assertEqual({"succeeded"}, {self.caller.watch(job) for job in jobs})
                    self.finish()
                    record("r06", seed=seed, stopped="frontend", seconds=seconds)


if __name__ == "__main__":
    unittest.main()
