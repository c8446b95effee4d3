"""A rank hangs in a step while its heartbeats go on: its deadline ends the epoch, nobody stays in the collective; a slow one is waited for."""

import time
import unittest

from cluster import processes_of, wait_until
from epochs import first_line, read_mark
from history import check
from rank_loss import RANKS, Cluster, RankLossCase, Simulated

# The least deadline of a step, and 10 s to leave (reliability.md, P4); what the machine may take besides.
DEADLINE_S, LEAVE_S, SLACK_S = 10, 10, 2
PASS = 6
SLOW_S = DEADLINE_S + 3  # in a first step, whose deadline is 600 s


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

    def test_a_rank_that_is_slow_in_a_first_step_is_waited_for(self):
        """The others wait for longer than they would for one that has not said how long it may take."""
        mark = self.path("mark")
        cluster = Cluster(self, Simulated(self), COGWHEEL_FAILPOINT=f"rank.step/2=delay:{SLOW_S * 1000}@1",
                          COGWHEEL_FAILPOINT_MARK=mark)
        job = cluster.caller.create("slow", seed=1, steps=4).name
        read_mark(mark, 60)
        self.assertEqual("succeeded", cluster.caller.watch(job))
        self.assertEqual(1, cluster.caller.get(job).attempt)
        self.assertEqual(1, cluster.caller.groups()["default"].epoch)
        check(cluster.history, cluster.caller, cluster.frontend, RANKS)
        cluster.close()


if __name__ == "__main__":
    unittest.main()
