"""Any one of four real ranks is killed or stopped in each phase: the table of tests/README.md. Long form only."""

import collections
import os
import unittest

from rank_loss import PHASES, RANKS, Real, RankLossCase
from scale import LONG, record

ACTIONS = os.environ.get("RECOVERY_ACTIONS", "kill stop").split()


@unittest.skipUnless(LONG, "long form only: about half an hour")
class RecoveryTimesTest(RankLossCase):
    def test_every_rank_in_every_phase(self):
        kind = Real(self)
        table = collections.defaultdict(list)
        for action in ACTIONS:
            for phase in PHASES:
                for rank in range(RANKS):
                    with self.subTest(action=action, phase=phase, rank=rank):
                        passes = 3 if phase == "rank.step" else 1
                        figures = self.lose(kind, action, phase, rank, seed=1, passes=passes)
                        record("recovery_times", action=action, phase=phase, rank=rank, **figures)
                        table[action, phase].append(figures)
        for (action, phase), rows in table.items():
            worst = [max(row[name] for row in rows) for name in ("detected_s", "dead_s", "ready_s")]
            print(f"| {action} | {phase} | {len(rows)} | " + " | ".join(f"{value:.2f}" for value in worst) + " |")


if __name__ == "__main__":
    unittest.main()
