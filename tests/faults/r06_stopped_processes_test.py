"""R6: a rank or the frontend is stopped for 5 or 30 s and goes on: the dead are told from the slow, and a zombie is fenced."""

import os
import random
import signal
import time
import unittest

from caller import Caller
from cluster import FaultCase, processes_of
from epochs import GroupWatch, first_line, read_mark
from history import History, check
from scale import choose, record, seeds
from stubs import pb
from support import wait_until

RANKS = 4
SUSPECT_LIMIT_S, DEAD_LIMIT_S, READY_LIMIT_S = 6, 16, 40
SHORT_STOP_S, LONG_STOP_S = 3, 30
STEPS = 20


class StoppedProcessesTest(FaultCase):
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
        self.caller.close()
        self.workers.close()
        self.frontend.close()
        return states

    def test_a_rank_that_stops_for_long_is_dead(self):
        for seed in seeds(1, 20):
            chance = random.Random(seed)
            for rank in range(RANKS) if choose(False, True) else (chance.randrange(RANKS),):
                with self.subTest(seed=seed, rank=rank):
                    self.stop_for_long(seed, rank, chance)

    def stop_for_long(self, seed, rank, chance):
        self.start("rank.step", rank, chance.randrange(1, STEPS))
        job = self.caller.create("hit", seed=seed, steps=STEPS).name
        _, pid, hit = read_mark(self.mark_file, 20)
        watch = GroupWatch(self.caller)
        wait_until(watch.suspects, SUSPECT_LIMIT_S + 1, "the stopped rank is suspect")
        suspect_s = time.monotonic() - hit
        dead_s = first_line(self.frontend.log, "group lost", hit, DEAD_LIMIT_S + 2)
        self.caller.wait_group(READY_LIMIT_S, after_epoch=1)
        ready_s = first_line(self.frontend.log, "group formed", hit, READY_LIMIT_S)
        time.sleep(max(0.0, hit + LONG_STOP_S - time.monotonic()))
        if pid in processes_of(self.mark):  # else its launcher has killed it
            os.kill(pid, signal.SIGCONT)
        self.assertEqual("succeeded", self.caller.watch(job))
        wait_until(lambda: pid not in processes_of(self.mark), 10, "the zombie leaves")
        self.assertLessEqual(suspect_s, SUSPECT_LIMIT_S)
        self.assertLessEqual(dead_s, DEAD_LIMIT_S)
        self.assertLessEqual(ready_s, READY_LIMIT_S)
        self.assertEqual(2, self.caller.groups()["default"].epoch, "exactly one epoch more")
        self.finish()
        record("r06", seed=seed, stopped="rank", rank=rank, suspect_s=round(suspect_s, 3), dead_s=round(dead_s, 3),
               ready_s=round(ready_s, 3))

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
