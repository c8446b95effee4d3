"""Everything slow at once: syncs of 10 s, reads of 5 s, a sweep of 100,000 files, watchers, large downloads, four groups at
50 jobs/s. The loop only decides, so it turns as ever; no group is lost, no job is charged, heartbeats and probes are answered."""

import os
import sqlite3
import threading
import time
import unittest

from caller import Caller, open_channel
from cluster import FaultCase, Frontend
from disk import Disk
from history import History
from loop_turns import LoopTurns
from pulse import Pulse
from scale import choose, record
from stubs import pb, rpc

GROUPS = [f"group-{i}" for i in range(4)]
WATCHERS, DOWNLOADS, JOBS_PER_S = 64, 16, 50
ORPHANS = choose(20_000, 100_000)
SECONDS = choose(25, 120)
LARGE = {"frames": 49, "height": 768, "width": 576, "steps": 1}  # 62 MiB
SWEEP = (("remove", "/artefacts/", "delay", 2),)  # 40 s and more, so that it goes on all the while
SLOW = (*SWEEP, ("sync", "/", "delay", 10_000), ("read", "/artefacts/", "delay", 5_000),
        ("read", "/cogwheel.sqlite$", "delay", 5_000))
BEAT_LIMIT_S, PROBE_LIMIT_S = 1.0, 2.0


class BusyDiskTest(FaultCase):
    def start(self):
        self.disk, self.turns = Disk(self), LoopTurns(self)
        environment = {**self.disk.environment, **self.turns.environment}
        environment["LD_PRELOAD"] += f":{self.turns.library}"
        self.frontend = Frontend(self, "--max-queued-jobs", "100000", "--max-streams", "1000", **environment)
        self.addCleanup(self.frontend.close)
        self.disk.data = self.frontend.data
        self.frontend.start()
        for group in GROUPS:
            self.start_workers(1, group=group)
        self.caller = Caller(self.frontend.address, History())
        self.large = self.caller.create("large", **LARGE).name
        self.assertEqual("succeeded", self.caller.watch(self.large))

    def leave_orphans(self):
        """What a sweep has to look at, one file after the other."""
        for number in range(ORPHANS):
            folder = os.path.join(self.frontend.data, "artefacts", f"{number % 256:02x}")
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, f"{number:064x}.mp4"), "wb").close()

    def restart(self):
        """The sweep begins with the server."""
        self.frontend.kill()
        self.leave_orphans()
        self.disk.does(*SWEEP)
        self.frontend.start()
        for group in GROUPS:
            self.caller.wait_group(30, group)

    def stream_for_ever(self, open_stream):
        """Reads streams, each from its begin, until the test is over."""
        stub = rpc.VideoServiceStub(open_channel(self.frontend.address, connect_ms=10_000))
        while not self.over.is_set():
            try:
                for _ in open_stream(stub):
                    if self.over.is_set():
                        return
            except Exception:  # noqa: BLE001: cut or refused: again
                self.over.wait(0.2)

    def watch_newest(self, stub):
        return stub.WatchJob(pb.WatchJobRequest(name=self.newest, include_video=True), timeout=SECONDS)

    def download(self, stub):
        return stub.DownloadVideo(pb.DownloadVideoRequest(name=self.large), timeout=SECONDS)

    def accepted(self, call):
        if not call.exception():
            self.newest = call.result().name

    def offer_jobs(self):
        """An open loop: nobody waits for the answers."""
        begin, sent = time.monotonic(), 0
        while not self.over.is_set():
            request = pb.CreateJobRequest(request=self.caller.request("", seed=sent, steps=1))
            self.caller.stub.CreateJob.future(request, timeout=SECONDS).add_done_callback(self.accepted)
            sent += 1
            self.over.wait(max(0.0, begin + sent / JOBS_PER_S - time.monotonic()))

    def probe(self):
        while not self.over.wait(0.25):
            for path in ("/livez", "/readyz", "/metrics"):
                begin = time.monotonic()
                try:
                    self.frontend.http(path, 10)
                except OSError:  # not answered
                    begin = float("-inf")
                self.longest_probe_s = max(self.longest_probe_s, time.monotonic() - begin)

    def charges(self):
        with sqlite3.connect(f"file:{self.frontend.data}/cogwheel.sqlite?mode=ro", uri=True) as database:
            return database.execute("SELECT SUM(charges) FROM jobs").fetchone()[0]

    def test_the_loop_turns(self):
        self.start()
        self.restart()
        self.newest, self.over, self.longest_probe_s = self.large, threading.Event(), 0.0
        lost = self.frontend.metric("cogwheel_dispatch_group_losses_total") or 0
        pulse = Pulse(self.frontend.address)
        work = [self.offer_jobs, self.probe] + [lambda: self.stream_for_ever(self.watch_newest)] * WATCHERS \
            + [lambda: self.stream_for_ever(self.download)] * DOWNLOADS
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        self.disk.does(*SLOW)
        self.turns.forget()
        time.sleep(SECONDS)  # how long it goes on
        turns = self.turns.read()
        lost = (self.frontend.metric("cogwheel_dispatch_group_losses_total") or 0) - lost
        swept = int(self.frontend.metric("cogwheel_store_orphan_files_removed_total"))
        pulse.close()
        self.over.set()
        self.disk.heals()
        record("busy_disk", seconds=SECONDS, **turns, groups_lost=lost, charges=self.charges(),
               longest_beat_s=round(pulse.longest_s, 3), beats=pulse.beats, longest_probe_s=round(self.longest_probe_s, 3),
               swept=swept)
        self.assertGreater(turns["turns"], 10 * SECONDS)  # it ticks as often
        self.assertLessEqual(turns["beyond_5_ms"], 0.01 * turns["turns"])
        self.assertEqual(0, turns["beyond_50_ms"])
        self.assertEqual(0, lost)
        self.assertEqual(0, self.charges())
        self.assertLess(swept, ORPHANS)  # the sweep went on
        self.assertGreater(pulse.beats, SECONDS)
        self.assertLessEqual(pulse.longest_s, BEAT_LIMIT_S)
        self.assertLessEqual(self.longest_probe_s, PROBE_LIMIT_S)


if __name__ == "__main__":
    unittest.main()
