#!/usr/bin/env python3
"""Goodput and refusals of a frontend at 1, 2, 5 and 10 times what its group can do, with simulated ranks (R13).

    overload.py [SECONDS_EACH]      default 60; `scripts/build release cogwheel-server-faults cogwheel-sim-worker` first

Arrivals are Poisson and do not wait for answers. Fails when goodput at 10 x is below 90 % of that at 1 x, when the p99 of
refusals is above 20 ms, or when a refusal does not say when to try again.
"""

import collections
import os
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from cluster import FaultCase  # noqa: E402
from caller import Caller, grpc  # noqa: E402
from history import History  # noqa: E402
from resources import resident_bytes  # noqa: E402
from scale import record  # noqa: E402
from stubs import details, pb  # noqa: E402
from support import wait_until  # noqa: E402

SECONDS = float(sys.argv.pop(1)) if len(sys.argv) > 1 else 60.0
FACTORS = (1, 2, 5, 10)
QUEUE = 32
CAPACITY_S = 5.0
DRAIN_LIMIT_S = 120
LEAST_GOODPUT = 0.9
REFUSAL_P99_LIMIT_S = 0.020


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Arrivals:
    """One load: sends at the times of a Poisson process and keeps what came back."""

    def __init__(self, caller, rate, seed):
        self.caller, self.rate, self.chance = caller, rate, random.Random(seed)
        self.lock = threading.Lock()
        self.codes = collections.Counter()
        self.refusals, self.accepts, self.hintless = [], [], 0

    def ended(self, call, begin):
        seconds = time.monotonic() - begin
        code = call.code()
        hinted = True
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            pushback = dict(call.trailing_metadata()).get("grpc-retry-pushback-ms")
            hinted = pushback is not None and int(pushback) > 0 and "RetryInfo" in details(call)
        with self.lock:
            self.codes[code.name] += 1
            (self.accepts if code == grpc.StatusCode.OK else self.refusals).append(seconds)
            self.hintless += not hinted

    def run(self, seconds):
        begin = next_at = time.monotonic()
        sent = 0
        while next_at < begin + seconds:
            time.sleep(max(0.0, next_at - time.monotonic()))
            request = pb.CreateJobRequest(request=self.caller.request("", seed=sent))
            started = time.monotonic()
            call = self.caller.stub.CreateJob.future(request, timeout=10)
            call.add_done_callback(lambda done, started=started: self.ended(done, started))
            sent += 1
            next_at += self.chance.expovariate(self.rate)
        while sum(self.codes.values()) < sent:
            time.sleep(0.01)
        return sent


class Overload(FaultCase):
    def finished(self):
        return self.frontend.metric("cogwheel_dispatch_jobs_finished_total", outcome="SUCCEEDED") or 0

    def goodput_of(self, arrivals, seconds):
        before = self.finished()
        begin = time.monotonic()
        arrivals.run(seconds)
        return (self.finished() - before) / (time.monotonic() - begin)

    def drain(self):
        wait_until(lambda: self.frontend.metric("cogwheel_queue_jobs") == 0, DRAIN_LIMIT_S, "the queue is empty")

    def test_overload(self):
        self.start_frontend("--max-queued-jobs", str(QUEUE), "--max-kept-jobs", "1000")
        self.start_workers(1)
        caller = Caller(self.frontend.address, History())
        caller.wait_group()
        caller.watch(caller.create("first").name)
        capacity = self.goodput_of(Arrivals(caller, 200, seed=0), CAPACITY_S)
        record("overload", capacity_per_s=round(capacity, 2))
        goodput, worst_p99, hintless = {}, 0.0, 0
        for factor in FACTORS:
            self.drain()
            before = resident_bytes(self.frontend.pid)
            arrivals = Arrivals(caller, factor * capacity, seed=factor)
            goodput[factor] = self.goodput_of(arrivals, SECONDS)
            p99 = percentile(arrivals.refusals, 0.99)
            worst_p99, hintless = max(worst_p99, p99), hintless + arrivals.hintless
            record("overload", factor=factor, seconds=SECONDS, goodput_per_s=round(goodput[factor], 2), answers=dict(arrivals.codes),
                   refused_p99_ms=round(p99 * 1e3, 2), accepted_p99_ms=round(percentile(arrivals.accepts, 0.99) * 1e3, 2),
                   without_hint=arrivals.hintless, growth_bytes=resident_bytes(self.frontend.pid) - before)
        self.assertGreaterEqual(goodput[10], LEAST_GOODPUT * goodput[1])
        self.assertLessEqual(worst_p99, REFUSAL_P99_LIMIT_S)
        self.assertEqual(0, hintless)
        caller.close()


if __name__ == "__main__":
    unittest.main()
