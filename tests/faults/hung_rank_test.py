"""A rank hangs in a step while its heartbeats go on: the step deadline ends the epoch, nobody stays in the collective."""

import time
import unittest

from cluster import processes_of, wait_until
from epochs import first_line, read_mark
from history import check
from rank_loss import RANKS, Cluster, RankLossCase, Simulated

# The least deadline of a step, and 10 s to leave (reliability.md, P4); what the machine may take besides.
DEADLINE_S, LEAVE_S, SLACK_S = 10, 10, 2
PASS = 6


class HungRankTest(RankLossCase):
    def test_the_step_deadline_ends_the_epoch(self):
        mark = self.path("mark")
        cluster = Cluster(self, Simulated(self), COGWHEEL_FAILPOINT=f"rank.step/2=delay:120000@{PASS}",
                          COGWHEEL_FAILPOINT_MARK=mark)
        job = cluster.caller.create("hung", seed=1, steps=20).name
        _, pid, hit = read_mark(mark, 60)
        lost_s = first_line(cluster.frontend.log, "group lost", hit, DEADLINE_S + SLACK_S)
        self.assertGreaterEqual(lost_s, DEADLINE_S - 1)
        wait_until(lambda: pid not in processes_of(self.mark), LEAVE_S + SLACK_S, "the hung rank has left")
        gone_s = time.monotonic() - hit
        self.assertLessEqual(gone_s, DEADLINE_S + LEAVE_S + SLACK_S)
        self.assertEqual("succeeded", cluster.caller.watch(job))
        self.assertEqual(2, cluster.caller.get(job).attempt)
        log = self.log_tail(lines=100000)
        self.assertIn("watchdog: this rank hangs", log)
        self.assertIn("flight record", log)
        self.assertIn("hangs: block", log)  # the frontend names the cause
        check(cluster.history, cluster.caller, cluster.frontend, RANKS)
        cluster.close()
        print(f"group lost after {lost_s:.2f} s, the hung rank gone after {gone_s:.2f} s")


if __name__ == "__main__":
    unittest.main()
