"""A disk that is full, closed to the server, damaged or slow, while jobs run: every job waits for it and succeeds, /readyz says
so, and no answer tells where the server keeps its files."""

import errno
import os
import threading
import time
import unittest

from caller import Caller, in_threads
from cluster import FaultCase, Frontend
from disk import Disk
from history import History, check
from scale import choose, record
from support import wait_until

RANKS, CALLERS = 1, 4
JOBS = choose(24, 200)
BROKEN_S = choose(3, 10)
NOT_READY_LIMIT_S, READY_LIMIT_S = 2, 5
SEVERAL_PIECES = {"frames": 17, "height": 128, "width": 128}  # 0.8 MB: four pieces of a result
SLOW_BYTES_PER_S = 1 << 20
# Of all that a server holds and says, what only it should know.
INSIDE = ("artefacts/", "cogwheel.sqlite", "/tmp/", "/inputs/")


def on_all(action, value, calls=("write", "allocate", "mkdir")):
    return [(call, "/", action, value) for call in calls]


RESULTS_FULL = [(call, folder, "full", 0) for call in ("write", "allocate") for folder in ("/tmp/", "/artefacts/")]
BREAKS = {
    "results do not fit": RESULTS_FULL,
    "nothing fits": on_all("full", 0),
    "it fills in mid result": [("write", "/tmp/", "full", 500_000)],
    "no file can be opened": on_all("fail", errno.EMFILE, ("open",)),
    "files are closed to the server": on_all("fail", errno.EACCES, ("open",)),
}
ONE_CALL = [(call, path, "fail", errno.EIO, 0, 1) for call, path in (
    ("open", "/tmp/"), ("allocate", "/tmp/"), ("write", "/tmp/"), ("rename", "/tmp/"), ("write", "/cogwheel.sqlite-wal"),
    ("read", "/cogwheel.sqlite"))]


class Readyz:
    """What /readyz answers, asked 20 times a second: (time, whether it is 200)."""

    def __init__(self, frontend):
        self.frontend, self.seen, self.closing = frontend, [], threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        while not self.closing.wait(0.05):
            try:
                self.seen.append((time.monotonic(), self.frontend.http("/readyz", 2)[0] == 200))
            except OSError:
                self.seen.append((time.monotonic(), False))

    def first(self, ready, after):
        """Seconds from `after` to the first answer of that kind, or None."""
        return next((at - after for at, was in self.seen if at >= after and was == ready), None)

    def close(self):
        self.closing.set()
        self.thread.join()


class BrokenDiskTest(FaultCase):
    def start(self, **fields):
        self.disk = Disk(self)
        self.frontend = Frontend(self, "--max-queued-jobs", "1000", **self.disk.environment)
        self.addCleanup(self.frontend.close)
        self.disk.data = self.frontend.data
        self.frontend.start()
        self.workers = self.start_workers(RANKS)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history, limit_s=120)
        self.caller.wait_group()
        self.fields = {"steps": 1, **fields}
        self.caller.watch(self.caller.create("first", **self.fields).name)
        wait_until(lambda: self.frontend.http("/readyz")[0] == 200, 10, "ready at first")
        self.readyz = Readyz(self.frontend)

    def create_all(self, begin, end):
        """Some callers share the jobs; joins when every one is acknowledged."""
        return in_threads(CALLERS, lambda own: [
            self.caller.create(f"job-{i}", seed=i, **self.fields) for i in range(begin + own, end, CALLERS)])

    def finish(self, name, check_bytes, **figures):
        jobs = self.caller.wait_ended([job.name for job in self.caller.list_all()], 120)
        for job in jobs.values():
            self.tells_nothing(job.error.message + " ".join(job.warnings))
        self.tells_nothing(" ".join(self.history.errors))
        self.readyz.close()
        states = check(self.history, self.caller, self.frontend, RANKS if check_bytes else 0)
        record("broken_disk", disk=name, jobs=JOBS, **figures, **states)
        self.assertEqual({"SUCCEEDED": JOBS + 1}, dict(states), name)
        self.caller.close()
        self.workers.close()
        self.frontend.close()

    def tells_nothing(self, words):
        for secret in (self.frontend.data, *INSIDE):
            self.assertNotIn(secret, words)

    def test_a_disk_that_is_full_or_closed_for_a_while(self):
        for name, rules in BREAKS.items():
            with self.subTest(disk=name):
                self.start(**(SEVERAL_PIECES if "mid" in name else {}))
                self.create_all(0, JOBS // 3)(60)
                join = self.create_all(JOBS // 3, JOBS)
                self.disk.does(*rules)
                broken = time.monotonic()
                wait_until(lambda: self.readyz.first(False, broken), BROKEN_S, f"{name}: /readyz says so")
                time.sleep(max(0.0, broken + BROKEN_S - time.monotonic()))  # how long it lasts
                self.disk.heals()
                healed = time.monotonic()
                wait_until(lambda: self.readyz.first(True, healed), READY_LIMIT_S + 1, f"{name}: ready again")
                join(60)
                not_ready_s, ready_s = self.readyz.first(False, broken), self.readyz.first(True, healed)
                self.finish(name, "mid" not in name, not_ready_s=round(not_ready_s, 2), ready_s=round(ready_s, 2))
                self.assertLessEqual(not_ready_s, NOT_READY_LIMIT_S)
                self.assertLessEqual(ready_s, READY_LIMIT_S)

    def test_one_call_that_fails(self):
        self.start()
        share = JOBS // len(ONE_CALL)
        for number, rule in enumerate(ONE_CALL):
            with self.subTest(rule=rule):
                self.disk.does(rule)
                end = JOBS if number == len(ONE_CALL) - 1 else (number + 1) * share
                self.create_all(number * share, end)(60)
                self.caller.wait_ended([job.name for job in self.caller.list_all()], 60)
        self.finish("one call fails", True)

    def test_a_slow_disk_is_a_disk(self):
        self.start()
        self.disk.does(("write", "/", "pace", SLOW_BYTES_PER_S))
        begin = time.monotonic()
        self.create_all(0, JOBS)(120)
        self.caller.wait_ended([job.name for job in self.caller.list_all()], 120)
        self.assertIsNone(self.readyz.first(False, begin), "ready throughout")
        self.finish("slow", True, seconds=round(time.monotonic() - begin, 1))


if __name__ == "__main__":
    unittest.main()
