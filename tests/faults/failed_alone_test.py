"""Jobs whose memory fails on one rank of four, between jobs that fit: each fails at once and alone, in one epoch."""

import os
import unittest

from caller import Caller
from cluster import Child, FaultCase, program, wait_until
from epochs import log_lines
from history import History, check
from scale import choose, record
from stubs import pb

RANKS = 4
PLACES = ("rank.text/0", "rank.step/2", "rank.decode/1")
BAD = choose(2, 7)  # at each place, with a good job behind each


class FailedAloneTest(FaultCase):
    def test_the_group_serves_on(self):
        for place in PLACES:
            with self.subTest(place=place):
                self.run_at(place)

    def run_at(self, place):
        mark = self.path(f"mark-{place.replace('/', '-')}")
        open(mark, "w").close()  # nothing acts
        self.start_frontend()
        workers = self.start_workers(RANKS, COGWHEEL_FAILPOINT=f"{place}=no_memory@0", COGWHEEL_FAILPOINT_MARK=mark)
        history = History()
        caller = Caller(self.frontend.address, history)
        caller.wait_group()
        pids = workers.pids()
        for i in range(BAD):
            os.remove(mark)
            bad = caller.create(f"bad-{i}", seed=i, steps=4).name
            self.assertEqual("failed", caller.watch(bad))
            job = caller.get(bad)
            self.assertEqual((8, "OUT_OF_MEMORY", 1), (job.error.code, job.error.reason, job.attempt), job.error.message)
            self.assertRegex(job.error.message, f"^out of memory: .* on rank {place[-1]}: ")
            self.assertTrue(os.path.exists(mark))
            self.assertEqual("succeeded", caller.watch(caller.create(f"good-{i}", seed=i, steps=4).name, include_video=True))
        self.assertEqual(pids, workers.pids())
        self.assertEqual(1, len(log_lines(self.frontend.log, "group formed", since=0)))
        self.assertEqual([], log_lines(self.frontend.log, "group lost", since=0))
        self.assertEqual(BAD, self.frontend.metric("cogwheel_rank_out_of_memory_total"))
        states = check(history, caller, self.frontend, RANKS)  # the good jobs' bytes are undisturbed
        self.assertEqual({"FAILED": BAD, "SUCCEEDED": BAD}, dict(states))
        self.assertEqual({pb.FAILED, pb.SUCCEEDED}, {job.state for job in caller.list_all()})
        record("failed_alone", place=place, failed=BAD, succeeded=BAD, epochs=1)
        caller.close()
        workers.close()
        self.frontend.close()

    def start_rank(self, *more):
        """A rank without a launcher."""
        rank = Child([program("cogwheel-sim-worker"), "--frontend", self.frontend.address, "--model", ".", "--local-rank", "0", *more],
                     self.environment(SIM_STEP_MS="100"), self.path("rank.log"))
        self.addCleanup(rank.stop)
        rank.ready_line()
        return rank

    def test_a_rank_killed_for_memory_fails_its_job_at_once(self):
        """As the launcher would start the next process of the place (launcher_test sees that it does)."""
        self.start_frontend()
        rank = self.start_rank()
        history = History()
        caller = Caller(self.frontend.address, history)
        caller.wait_group()
        bad = caller.create("bad", seed=1, steps=100).name
        wait_until(lambda: caller.get(bad).state == pb.RUNNING, 10, "the job runs")
        rank.process.kill()
        rank.process.wait()
        wait_until(lambda: caller.get(bad).state == pb.QUEUED, 10, "the job waits again")
        self.start_rank("--replaces-killed-for-memory", "yes")
        self.assertEqual("failed", caller.watch(bad))
        error = caller.get(bad).error
        self.assertEqual((8, "OUT_OF_MEMORY"), (error.code, error.reason), error.message)
        self.assertIn("the kernel killed a rank", error.message)
        self.assertEqual("succeeded", caller.watch(caller.create("good", seed=2, steps=2).name))
        self.assertEqual(1, self.frontend.metric("cogwheel_rank_out_of_memory_total"))
        self.assertEqual({"FAILED": 1, "SUCCEEDED": 1}, dict(check(history, caller, self.frontend, 1)))
        caller.close()


if __name__ == "__main__":
    unittest.main()
