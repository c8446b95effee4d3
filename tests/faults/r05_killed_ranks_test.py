"""R5: rank r is killed in each phase: noticed at once, one new epoch, ready again within 20 s, the same video."""

import random
import unittest

import failpoints
from caller import Caller
from cluster import FaultCase
from epochs import first_line, read_mark
from history import History, check
from scale import LONG, record, seeds
from stubs import pb

RANKS = 4
DETECTED_LIMIT_S, READY_LIMIT_S = 5, 20
# The text is encoded on rank 0 alone and waited for by the others: it belongs to the broadcast.
PHASES = tuple(name for name in failpoints.RANKS if name != "rank.text")
IN_A_JOB = ("rank.broadcast", "rank.step", "rank.decode", "rank.stream")


class KilledRanksTest(FaultCase):
    def test_a_kill_in_each_phase(self):
        for seed in seeds(3, 10):
            chance = random.Random(seed)
            for phase in PHASES:
                for rank in range(RANKS) if LONG else (chance.randrange(RANKS),):
                    with self.subTest(seed=seed, phase=phase, rank=rank):
                        self.run_once(seed, phase, rank, chance)

    def run_once(self, seed, phase, rank, chance):
        mark = self.path(f"mark-{seed}-{phase}-{rank}")
        self.start_frontend()
        passes = {"rank.step": chance.randrange(1, 5), "rank.decode": chance.randrange(1, 3)}.get(phase, 1)
        workers = self.start_workers(RANKS, COGWHEEL_FAILPOINT=f"{phase}/{rank}=kill@{passes}", COGWHEEL_FAILPOINT_MARK=mark)
        history = History()
        caller = Caller(self.frontend.address, history)
        job = None
        if phase in IN_A_JOB:
            caller.wait_group()
            job = caller.create("hit", seed=seed, prompt=phase).name
        _, pid, hit = read_mark(mark, 20)
        detected_s = first_line(self.frontend.log, "group lost", hit, DETECTED_LIMIT_S)
        group = caller.wait_group(READY_LIMIT_S + 5, after_epoch=1)
        ready_s = first_line(self.frontend.log, "group formed", hit, READY_LIMIT_S)
        self.assertLessEqual(detected_s, DETECTED_LIMIT_S)
        self.assertLessEqual(ready_s, READY_LIMIT_S)
        if job is None:
            job = caller.create("after", seed=seed, prompt=phase).name
        self.assertEqual("succeeded", caller.watch(job))
        self.assertEqual(2, caller.groups()["default"].epoch, "exactly one epoch more")
        ended = caller.get(job)
        self.assertEqual((pb.SUCCEEDED, group.epoch), (ended.state, ended.epoch))
        check(history, caller, self.frontend, RANKS)
        record("r05", seed=seed, phase=phase, rank=rank, detected_s=round(detected_s, 3), ready_s=round(ready_s, 3),
               attempt=ended.attempt)
        caller.close()
        workers.close()
        self.frontend.close()


if __name__ == "__main__":
    unittest.main()
