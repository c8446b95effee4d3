"""R2: at 50 jobs/s the frontend or a rank is killed every 3 +- 2 s; jobs go on ending and nothing is lost."""

import os
import random
import signal
import threading
import time
import unittest

from caller import Caller
from cluster import FaultCase
from history import History, TERMINAL, check
from scale import choose, record, seeds

RATE, GROUPS, RANKS, CALLERS = 50, 4, 2, 12
WINDOW_S = 30
FAST = {"SIM_TEXT_MS": "1", "SIM_STEP_MS": "3", "SIM_CHUNK_MS": "1"}


class RandomKillsTest(FaultCase):
    def submit_until(self, end, caller, chance, names):
        """One of the callers: Poisson arrivals at its part of the rate."""
        count = 0
        while time.monotonic() < end:
            time.sleep(chance.expovariate(RATE / CALLERS))
            count += 1
            name = f"{threading.get_ident()}-{count}"
            job = caller.create(name, seed=count, prompt=f"circle {count % 20}")
            names.append(job.name)

    def test_jobs_go_on(self):
        duration_s = choose(30, 3600)
        for seed in seeds(1, 1):
            chance = random.Random(seed)
            self.start_frontend("--max-queued-jobs", "100000", "--max-kept-jobs", "1000000")
            groups = [self.start_workers(RANKS, group=f"group-{i}", **FAST) for i in range(GROUPS)]
            history = History()
            caller = Caller(self.frontend.address, history, limit_s=120)
            for i in range(GROUPS):
                caller.wait_group(group=f"group-{i}")
            end, names = time.monotonic() + duration_s, []
            callers = [threading.Thread(target=self.submit_until, args=(end, caller, random.Random(f"{seed}/{i}"), names))
                       for i in range(CALLERS)]
            for thread in callers:
                thread.start()
            kills = self.kill_until(end, groups, chance)
            for thread in callers:
                thread.join()
            ended = caller.wait_ended(names, limit_s=180)
            self.assertTrue(all(job.state in TERMINAL for job in ended.values()))
            self.check_windows(ended.values(), duration_s)
            states = check(history, caller, self.frontend, RANKS)
            self.assertEqual({"SUCCEEDED"}, set(states), "a kill is nobody's job's fault three times")
            record("r02", seed=seed, seconds=duration_s, kills=kills, **states)
            caller.close()

    def kill_until(self, end, groups, chance):
        kills = 0
        while True:
            time.sleep(chance.uniform(1, 5))
            if time.monotonic() > end:
                return kills
            kills += 1
            if chance.random() < 0.5:
                self.frontend.kill()
                self.frontend.start()
                continue
            ranks = list(chance.choice(groups).pids().values())
            if ranks:
                try:
                    os.kill(chance.choice(ranks), signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it went on its own

    def check_windows(self, jobs, duration_s):
        ends = sorted(job.end_time.ToNanoseconds() / 1e9 for job in jobs)
        for i in range(int(duration_s // WINDOW_S)):
            begin = ends[0] + i * WINDOW_S
            self.assertTrue(any(begin <= end < begin + WINDOW_S for end in ends), f"no job ended in window {i}")


if __name__ == "__main__":
    unittest.main()
