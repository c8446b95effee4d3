"""R4, at the process: any one sync to disk fails once. The server ends rather than trust the disk, and the next start finds
all that was acknowledged. (Failing calls inside the store are tests/server/store.)"""

import os
import random
import re
import unittest

from caller import Caller
from cluster import FaultCase
from history import History, check
from scale import choose, record, seeds
from stubs import pb
from support import BIN
from workload import mixed

RANKS = 1
DISK_FAILED_EXIT = 74
SYNCS, MOST_JOBS = 30, 100


class FailedSyncTest(FaultCase):
    def create_until_failed(self, caller, name):
        """Several jobs may share a sync: there are as many as it takes."""
        for i in range(MOST_JOBS):
            if os.path.exists(self.path("mark")):
                return
            caller.once("create", caller.stub.CreateJob, pb.CreateJobRequest(request=caller.request(f"{name}-{i}", steps=1)),
                        key=f"{name}-{i}")

    def test_a_failed_sync_ends_the_process(self):
        shim = os.path.join(os.path.abspath(BIN), "libfailing_sync.so")
        for seed in seeds(3, 10):
            chance = random.Random(seed)
            self.start_frontend()
            workers = self.start_workers(RANKS)
            history = History()
            caller = Caller(self.frontend.address, history)
            caller.wait_group()
            failed = set()
            for number in sorted(chance.sample(range(1, SYNCS), choose(6, SYNCS - 1))):
                with self.subTest(seed=seed, sync=number):
                    self.frontend.kill()
                    self.frontend.start_armed(LD_PRELOAD=shim, FAILING_SYNC=str(number), FAILING_SYNC_MARK=self.path("mark"))
                    join = mixed(caller, f"{seed}-{number}")
                    self.create_until_failed(caller, f"{seed}-{number}")
                    self.assertEqual(DISK_FAILED_EXIT, self.frontend.wait(20))
                    with open(self.path("mark")) as f:
                        failed.add(re.sub(r".*/data-[^/]*/", "", f.read()).split("/")[0])
                    os.unlink(self.path("mark"))
                    self.frontend.start()
                    join(60)
            caller.wait_ended([job.name for job in caller.list_all()])
            states = check(history, caller, self.frontend, RANKS)
            record("r04", seed=seed, failed_in=sorted(failed), **states)
            caller.close()
            workers.close()
            self.frontend.close()


if __name__ == "__main__":
    unittest.main()
