"""R5: rank r is killed in each phase: noticed at once, one new epoch, ready again within 20 s, the same video."""

import random
import unittest

from rank_loss import PHASES, RANKS, RankLossCase, Simulated
from scale import LONG, record, seeds


class KilledRanksTest(RankLossCase):
    def test_a_kill_in_each_phase(self):
        for seed in seeds(3, 10):
            chance = random.Random(seed)
            for phase in PHASES:
                passes = {"rank.step": chance.randrange(1, 5), "rank.decode": chance.randrange(1, 3)}.get(phase, 1)
                for rank in range(RANKS) if LONG else (chance.randrange(RANKS),):
                    with self.subTest(seed=seed, phase=phase, rank=rank):
                        figures = self.lose(Simulated(self), "kill", phase, rank, seed, passes)
                        record("r05", seed=seed, phase=phase, rank=rank, **figures)


if __name__ == "__main__":
    unittest.main()
