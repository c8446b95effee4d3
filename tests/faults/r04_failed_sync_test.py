"""R4, at the process: any one sync to disk fails once. The server ends rather than trust the disk, and the next start finds
all that was acknowledged. (Failing calls inside the store are tests/server/store.)"""

import errno
import random
import time
import unittest

from caller import Caller
from cluster import FaultCase
from disk import Disk
from history import History, check
from scale import choose, record, seeds
from stubs import pb
from workload import mixed

RANKS = 1
DISK_FAILED_EXIT = 74
MOST_JOBS = 100
# Files by a part of their path, with how many of their syncs are tried: the log, results before and after their rename.
FILES = {"/cogwheel.sqlite-wal": 20, "/tmp/jobs-": 3, "/artefacts/": 3}


class FailedSyncTest(FaultCase):
    def create_until_failed(self, caller, name):
        """Several jobs may share a sync: there are as many as it takes."""
        for i in range(MOST_JOBS):
            if not self.frontend.alive():
                return
            caller.once("create", caller.stub.CreateJob, pb.CreateJobRequest(request=caller.request(f"{name}-{i}", steps=1)),
                        key=f"{name}-{i}")
            time.sleep(0.03)

    def test_a_failed_sync_ends_the_process(self):
        disk = Disk(self)
        for seed in seeds(3, 10):
            chance = random.Random(seed)
            self.start_frontend()
            disk.data = self.frontend.data
            workers = self.start_workers(RANKS)
            history = History()
            caller = Caller(self.frontend.address, history)
            caller.wait_group()
            failed = []
            cases = [(name, number) for name, most in FILES.items() for number in range(1, most + 1)]
            for name, number in choose([(name, chance.randint(1, most)) for name, most in FILES.items()] * 2, cases):
                with self.subTest(seed=seed, file=name, sync=number):
                    self.frontend.kill()
                    disk.does(("sync", name, "fail", errno.EIO, number - 1, 1))
                    self.frontend.start_armed(**disk.environment)
                    join = mixed(caller, f"{name}-{number}-{len(failed)}")
                    self.create_until_failed(caller, f"{name}-{number}-{len(failed)}")
                    self.assertEqual(DISK_FAILED_EXIT, self.frontend.wait(20))
                    failed.append(name)
                    self.frontend.start()
                    join(60)
            caller.wait_ended([job.name for job in caller.list_all()])
            states = check(history, caller, self.frontend, RANKS)
            record("r04", seed=seed, failures=len(failed), **states)
            caller.close()
            workers.close()
            self.frontend.close()


if __name__ == "__main__":
    unittest.main()
