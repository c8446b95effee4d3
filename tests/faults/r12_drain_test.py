"""R12: SIGTERM under load, a second SIGTERM, SIGTERM at any moment of a job: not ready within 1 s, exit 0 within the
grace + 1 s, and what was acknowledged runs after the next start."""

import random
import signal
import time
import unittest

from caller import Caller, in_threads
from cluster import FaultCase
from history import History, check
from scale import record, seeds
from support import wait_until

RANKS, JOBS = 2, 8
NOT_READY_LIMIT_S, EXIT_SLACK_S = 1.0, 1.0


class DrainTest(FaultCase):
    def start(self, grace_s, **environment):
        self.start_frontend("--shutdown-grace-seconds", str(grace_s))
        self.workers = self.start_workers(RANKS, **environment)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history)
        self.caller.wait_group()

    def not_ready(self):
        try:
            return self.frontend.http("/readyz", 1)[0] == 503
        except OSError:
            return True  # it has left

    def terminate(self, grace_s):
        """(seconds until not ready, seconds until the exit)"""
        begin = time.monotonic()
        self.frontend.signal(signal.SIGTERM)
        wait_until(self.not_ready, NOT_READY_LIMIT_S + 1, "not ready")
        not_ready_s = time.monotonic() - begin
        self.assertEqual(0, self.frontend.wait(grace_s + EXIT_SLACK_S + 5))
        return not_ready_s, time.monotonic() - begin

    def restart_and_check(self, join, label, seed, **figures):
        self.frontend.start()
        join(90)
        states = check(self.history, self.caller, self.frontend, RANKS)
        self.assertEqual({"SUCCEEDED"}, set(states))
        record("r12", kind=label, seed=seed, **figures, **states)
        self.caller.close()
        self.workers.close()
        self.frontend.close()

    def load(self, chance, steps):
        """Callers that submit within a second and wait for their jobs."""
        delays = [chance.uniform(0, 1) for _ in range(JOBS)]

        def work(i):
            time.sleep(delays[i])
            self.caller.watch(self.caller.create(f"key-{i}", seed=i, steps=steps).name)
        return in_threads(JOBS, work)

    def test_under_load(self):
        for seed in seeds(3, 20):
            with self.subTest(seed=seed):
                chance, grace_s = random.Random(seed), 5
                self.start(grace_s)
                join = self.load(chance, steps=20)
                time.sleep(chance.uniform(0.2, 2.0))
                not_ready_s, exit_s = self.terminate(grace_s)
                self.assertLessEqual(not_ready_s, NOT_READY_LIMIT_S)
                self.assertLessEqual(exit_s, grace_s + EXIT_SLACK_S)
                self.restart_and_check(join, "under load", seed, not_ready_s=round(not_ready_s, 3), exit_s=round(exit_s, 3))

    def test_a_job_longer_than_the_grace_is_handed_back(self):
        for seed in seeds(1, 20):
            with self.subTest(seed=seed):
                chance, grace_s = random.Random(seed), 1
                self.start(grace_s)
                join = self.load(chance, steps=200)
                time.sleep(1.5)
                not_ready_s, exit_s = self.terminate(grace_s)
                self.assertLessEqual(exit_s, grace_s + EXIT_SLACK_S)
                self.restart_and_check(join, "long job", seed, exit_s=round(exit_s, 3))

    def test_a_second_signal_leaves_now(self):
        for seed in seeds(1, 20):
            with self.subTest(seed=seed):
                chance, grace_s = random.Random(seed), 30
                self.start(grace_s)
                join = self.load(chance, steps=200)
                time.sleep(1.2)
                self.frontend.signal(signal.SIGTERM)
                time.sleep(0.3)
                begin = time.monotonic()
                self.frontend.signal(signal.SIGTERM)
                self.assertEqual(0, self.frontend.wait(10))
                exit_s = time.monotonic() - begin
                self.assertLessEqual(exit_s, EXIT_SLACK_S)
                self.restart_and_check(join, "second signal", seed, exit_s=round(exit_s, 3))


if __name__ == "__main__":
    unittest.main()
