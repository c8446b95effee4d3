"""R14: ten callers submit each key at once while the server is killed: one job a key, and another payload is refused."""

import random
import time
import unittest

from caller import Caller, in_threads
from cluster import FaultCase
from history import History, check
from scale import choose, record, seeds
from stubs import pb

DUPLICATES, RANKS, KILLS = 10, 1, 3
FAST = {"SIM_TEXT_MS": "0", "SIM_STEP_MS": "1", "SIM_CHUNK_MS": "0"}


class DuplicatesTest(FaultCase):
    def test_a_key_is_one_job(self):
        keys = choose(100, 1000)
        for seed in seeds(3, 20):
            with self.subTest(seed=seed):
                self.run_once(seed, keys)

    def run_once(self, seed, keys):
        chance = random.Random(seed)
        self.start_frontend("--max-queued-jobs", "100000")
        workers = self.start_workers(RANKS, **FAST)
        history = History()
        callers = [Caller(self.frontend.address, history) for _ in range(DUPLICATES)]
        callers[0].wait_group()
        order = [chance.sample(range(keys), keys) for _ in callers]

        def submit(i):
            for key in order[i]:
                callers[i].create(f"key-{key}", seed=key, steps=1)
        join = in_threads(DUPLICATES, submit)
        for _ in range(choose(KILLS, 10 * KILLS)):
            time.sleep(chance.uniform(0.1, 0.6))
            self.frontend.kill()
            self.frontend.start()
        join(choose(60, 600))
        caller = callers[0]
        self.refuses_other_payloads(caller, [f"key-{key}" for key in chance.sample(range(keys), 10)])
        caller.wait_ended([job.name for job in caller.list_all()], limit_s=120)
        states = check(history, caller, self.frontend, RANKS)
        self.assertEqual({"SUCCEEDED": keys}, dict(states))
        deduplicated = sum(o.kind == "create" and o.outcome == "ok" for o in history.operations) - keys
        self.assertEqual(keys * (DUPLICATES - 1), deduplicated)
        record("r14", seed=seed, keys=keys, duplicates=deduplicated, **states)
        for each in callers:
            each.close()
        workers.close()
        self.frontend.close()

    def refuses_other_payloads(self, caller, keys):
        for key in keys:
            request = caller.request(key, prompt="another", seed=1)
            self.assertIsNone(caller.call("other", caller.stub.CreateJob, pb.CreateJobRequest(request=request), key=key))
            self.assertEqual("ALREADY_EXISTS", caller.history.operations[-1].outcome)


if __name__ == "__main__":
    unittest.main()
