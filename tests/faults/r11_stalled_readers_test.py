"""R11: 64 readers are stopped in mid stream: each is cut at the limit, holds at most 16 MiB, and others keep their pace."""

import os
import signal
import subprocess
import sys
import time
import unittest

from caller import Caller
from cluster import HERE, FaultCase
from history import History, check
from resources import resident_bytes
from scale import LONG, choose, record
from support import die_with_parent, wait_until

READERS, RANKS = 64, 1
LIMIT_S = 3
HELD_LIMIT = 16 * 1024 * 1024
LARGE = {"frames": 49, "height": 768, "width": 768, "steps": 1}  # 87 MB: more than what can be on the way
PROBE_S = 1.8
LEAST_PACE = 0.9


class StalledReadersTest(FaultCase):
    def start_readers(self, kind, job):
        readers = subprocess.Popen([sys.executable, os.path.join(HERE, "remote_caller.py"), self.frontend.address, kind,
                                    str(READERS), job], env=self.environment(), stdout=subprocess.PIPE, text=True,
                                   preexec_fn=die_with_parent)
        self.addCleanup(readers.stdout.close)
        self.addCleanup(readers.wait)
        self.addCleanup(readers.kill)
        self.assertEqual("at it\n", readers.stdout.readline())
        return readers

    def pace(self, caller, job, seconds):
        """Whole downloads of a small result in a second."""
        count, begin = 0, time.monotonic()
        while time.monotonic() < begin + seconds:
            caller.download(job)
            count += 1
        return count / (time.monotonic() - begin)

    def test_stopped_readers_are_cut(self):
        self.start_frontend("--stalled-stream-seconds", str(LIMIT_S), "--max-tenant-downloads", str(READERS + 1))
        self.start_workers(RANKS)
        history = History()
        caller = Caller(self.frontend.address, history)
        caller.wait_group()
        small = caller.create("small").name
        large = caller.create("large", **LARGE).name
        self.assertEqual({"succeeded"}, {caller.watch(small), caller.watch(large)})
        for kind in choose(("download",), ("download", "watch") * 5):
            with self.subTest(kind=kind):
                self.run_once(caller, kind, small, large)
        # The simulation is not computed for the large one: too slow in Python.
        check(history, caller, self.frontend, ranks=0)
        caller.close()

    def run_once(self, caller, kind, small, large):
        self.pace(caller, small, 0.5)
        alone = self.pace(caller, small, PROBE_S)
        before, cut_before = resident_bytes(self.frontend.pid), self.cut()
        readers = self.start_readers(kind, large)
        readers.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        beside = self.pace(caller, small, PROBE_S)
        held = (resident_bytes(self.frontend.pid) - before) / READERS
        self.assertEqual(cut_before, self.cut(), "none is cut before its time")
        wait_until(lambda: self.cut() - cut_before == READERS, LIMIT_S + 5, "all are cut")
        cut_s = time.monotonic() - stopped
        record("r11", kind=kind, readers=READERS, held_bytes_each=int(held), cut_s=round(cut_s, 2),
               pace_alone=round(alone, 1), pace_beside=round(beside, 1))
        self.assertLessEqual(held, HELD_LIMIT)
        self.assertLessEqual(cut_s, LIMIT_S + 1)
        if LONG:  # the short form shares its cores with other runs
            self.assertGreaterEqual(beside, LEAST_PACE * alone)
        # What the kernel has taken of a cut stream's last write stays there while its reader is stopped.
        readers.kill()
        wait_until(lambda: self.frontend.metric("cogwheel_api_live_reactors") == 0, 5, "no reactor lives")

    def cut(self):
        return self.frontend.metric("cogwheel_api_streams_stalled_total")


if __name__ == "__main__":
    unittest.main()
