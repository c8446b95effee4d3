"""R10: unary calls and streams that end in every way - well, by cancel, deadline, error, shutdown, a caller that dies or one
that stops - leave no reactor, no stream and no file behind."""

import os
import signal
import subprocess
import sys
import time
import unittest

from caller import Caller, grpc
from cluster import HERE, FaultCase
from history import History, check
from resources import open_files
from scale import record, seeds
from stubs import pb
from support import die_with_parent, wait_until

RANKS, CALLS = 1, 10
STALL_LIMIT_S = 2
LARGE = {"frames": 49, "height": 512, "width": 512, "steps": 1}  # 39 MB: more than any buffer on the way
SETTLED_LIMIT_S = 10


class EndingsTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.start_frontend("--stalled-stream-seconds", str(STALL_LIMIT_S), "--shutdown-grace-seconds", "5")
        self.start_workers(RANKS)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history)
        self.addCleanup(self.caller.close)
        self.caller.wait_group()
        self.job = self.caller.create("large", **LARGE).name
        self.caller.watch(self.job)
        self.end_of("stream", self.call("stream"))
        self.files = open_files(self.frontend.pid)
        self.cut = 0

    def call(self, kind, timeout=20, name=None):
        stub, name = self.caller.stub, name or self.job
        if kind == "unary":
            return stub.GetJob.future(pb.GetJobRequest(name=name), timeout=timeout)
        return stub.DownloadVideo(pb.DownloadVideoRequest(name=name), timeout=timeout)

    def end_of(self, kind, call):
        """The code that the call ends with."""
        try:
            if kind == "unary":
                call.result()
            else:
                for _ in call:
                    pass
        except grpc.RpcError as error:
            return error.code()
        except grpc.FutureCancelledError:
            return grpc.StatusCode.CANCELLED
        return call.code()

    def ok(self, kind):
        for call in [self.call(kind) for _ in range(CALLS)]:
            self.assertEqual(grpc.StatusCode.OK, self.end_of(kind, call))

    def cancel(self, kind):
        for call in [self.call(kind) for _ in range(CALLS)]:
            if kind == "stream":
                next(call)
            call.cancel()
            self.end_of(kind, call)

    def deadline(self, kind):
        for call in [self.call(kind, timeout=0.001) for _ in range(CALLS)]:
            self.end_of(kind, call)

    def error(self, kind):
        for call in [self.call(kind, name="jobs/01arz3ndektsv4rrffq69g5fav") for _ in range(CALLS)]:
            self.assertEqual(grpc.StatusCode.NOT_FOUND, self.end_of(kind, call))

    def shutdown(self, kind):
        calls = [self.call(kind) for _ in range(CALLS)]
        self.frontend.signal(signal.SIGTERM)
        begin = time.monotonic()
        self.assertEqual(0, self.frontend.wait(10))
        self.assertLess(time.monotonic() - begin, 6)
        for call in calls:
            self.end_of(kind, call)
        self.frontend.start()
        self.caller.wait_group()
        self.caller.get(self.job)
        self.files, self.cut = max(self.files, open_files(self.frontend.pid)), 0

    def start_remote(self, kind):
        remote = subprocess.Popen([sys.executable, os.path.join(HERE, "remote_caller.py"), self.frontend.address,
                                   "unary" if kind == "unary" else "download", str(CALLS), self.job], env=self.environment(),
                                  stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.assertEqual("at it\n", remote.stdout.readline())
        return remote

    def crash(self, kind):
        remote = self.start_remote(kind)
        remote.kill()
        remote.wait()
        remote.stdout.close()

    def stall(self, kind):
        remote = self.start_remote(kind)
        remote.send_signal(signal.SIGSTOP)
        if kind == "stream":
            before = self.cut
            wait_until(lambda: self.frontend.metric("cogwheel_api_streams_stalled_total") - before == CALLS, STALL_LIMIT_S + 2,
                       "the stalled streams are cut")
            self.cut += CALLS
        remote.kill()
        remote.wait()
        remote.stdout.close()

    def nothing_lives(self):
        return self.frontend.metric("cogwheel_api_live_reactors") == 0

    def test_every_ending(self):
        for seed in seeds(1, 20):
            for kind in ("unary", "stream"):
                for ending in (self.ok, self.cancel, self.deadline, self.error, self.crash, self.stall, self.shutdown):
                    with self.subTest(seed=seed, kind=kind, ending=ending.__name__):
                        ending(kind)
                        wait_until(self.nothing_lives, SETTLED_LIMIT_S, "no reactor lives")
                        wait_until(lambda: open_files(self.frontend.pid) <= self.files, SETTLED_LIMIT_S, "no file is open")
                        record("r10", seed=seed, kind=kind, ending=ending.__name__)
        check(self.history, self.caller, self.frontend, ranks=0)


if __name__ == "__main__":
    unittest.main()
