"""Without any fault the invariants hold, and the simulated video is the one that simulation.py computes."""

import unittest

from cluster import FaultCase
from caller import Caller
from history import History, check
from stubs import pb


class UndisturbedTest(FaultCase):
    def test_jobs_of_every_group_size(self):
        for ranks in (1, 2, 4):
            with self.subTest(ranks=ranks):
                self.start_frontend()
                workers = self.start_workers(ranks)
                history = History()
                caller = Caller(self.frontend.address, history)
                caller.wait_group()
                jobs = [caller.create(f"key-{i}", seed=i).name for i in range(4)]
                jobs += [caller.create(f"size-{i}", seed=i, frames=17, height=32, width=48, steps=2).name for i in range(2)]
                self.assertEqual({"succeeded"}, {caller.watch(job) for job in jobs})
                self.assertEqual({pb.SUCCEEDED}, {job.state for job in caller.wait_ended(jobs).values()})
                self.assertEqual({"SUCCEEDED": 6}, dict(check(history, caller, self.frontend, ranks)))
                caller.close()
                workers.close()
                self.frontend.close()


if __name__ == "__main__":
    unittest.main()
