"""Generate calls that are cut by a stall, a shutdown or a reset are taken up within the grace: every job succeeds, once. A caller
that really goes away frees the ranks after its grace."""

import os
import signal
import threading
import time
import unittest

from caller import open_channel
from cluster import FaultCase, wait_until
from proxy import Proxy
from scale import choose, record

import grpc
from stubs import pb, rpc

GRACE_S, STALL_S = 3, 1
CALLS, STALLS = choose((12, 6), (33, 34))
LIMIT_S = choose(60, 240)
# More than the kernel and the windows below hold, so that a reader that takes nothing stalls its stream.
LARGE = {"frames": 17, "height": 256, "width": 256, "steps": 2}
NARROW = (("grpc.http2.lookahead_bytes", 65536), ("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1))


class Generation:
    """One job as its caller sees it, over any number of Generate calls."""

    def __init__(self, key, **fields):
        self.request = pb.GenerateRequest(prompt="a red circle", seed=1, request_id=key, output_type=pb.OUTPUT_TYPE_FRAMES, **fields)
        self.jobs, self.cuts, self.last = set(), [], None

    def read(self, stub, pause=None):
        """One call, to its end or its break. `pause` is waited for after the first event."""
        try:
            for event in stub.Generate(self.request, timeout=LIMIT_S):
                self.jobs.add(event.job)
                self.last = event.WhichOneof("event")
                if pause is not None:
                    pause.wait(LIMIT_S)
        except grpc.RpcError as error:
            self.cuts.append(error.code())

    def take_up(self, address):
        """Calls until the job's end."""
        until = time.monotonic() + LIMIT_S
        with open_channel(address) as channel:
            while self.last != "succeeded" and time.monotonic() < until:
                self.read(rpc.VideoServiceStub(channel))
                time.sleep(0.05)


class HeldJobsTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.start_frontend("--holder-grace-seconds", str(GRACE_S), "--stalled-stream-seconds", str(STALL_S))
        # A job goes on for longer than a stall after its first pieces.
        self.start_workers(SIM_STEP_MS="50", SIM_CHUNK_MS=str(int(2000 * STALL_S)) if "stalls" in self.id() else "1")
        self.channel = open_channel(self.frontend.address)
        self.addCleanup(lambda: self.channel.close())
        self.stub = rpc.VideoServiceStub(self.channel)
        wait_until(self.group, 30, "a group is ready")

    def group(self):
        try:
            group = self.stub.GetGroup(pb.GetGroupRequest(name="default"), timeout=2)
            return group if group.ready else None
        except grpc.RpcError:
            return None

    def start(self, address, count, what, options=(), pause=None, **fields):
        """Generations under way, each with its first event seen, and their threads."""
        channel = grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1), *options))
        self.addCleanup(channel.close)
        stub = rpc.VideoServiceStub(channel)
        generations = [Generation(f"{what}-{i}", **fields) for i in range(count)]
        threads = [threading.Thread(target=each.read, args=(stub, pause), daemon=True) for each in generations]
        for thread in threads:
            thread.start()
        wait_until(lambda: all(each.jobs for each in generations), LIMIT_S, "every call has begun")
        return generations, threads

    def check(self, what, generations, cause):
        """All succeed, each job once; all were cut before."""
        threads = [threading.Thread(target=each.take_up, args=(self.frontend.address,), daemon=True) for each in generations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        self.assertEqual({"succeeded"}, {each.last for each in generations}, what)
        self.assertEqual({1}, {len(each.jobs) for each in generations}, "one job each")
        cuts = [each.cuts[0] for each in generations if each.cuts]
        self.assertEqual(set(cause), set(cuts))
        for each in generations:
            job, = each.jobs
            found = self.stub.GetJob(pb.GetJobRequest(name=job), timeout=10)
            self.assertEqual(pb.SUCCEEDED, found.state)
        record("held", what=what, calls=len(generations), cut=len(cuts))
        return len(cuts)

    def test_resets(self):
        proxy = Proxy(self.frontend.address)
        self.addCleanup(proxy.close)
        generations, threads = self.start(proxy.address, CALLS, "reset", steps=4)
        proxy.reset()
        for thread in threads:
            thread.join(LIMIT_S)
        self.assertGreater(self.check("reset", generations, {grpc.StatusCode.UNAVAILABLE}), CALLS / 2)

    def test_shutdown(self):
        generations, threads = self.start(self.frontend.address, CALLS, "shutdown", steps=4)
        self.frontend.signal(signal.SIGTERM)
        self.frontend.signal(signal.SIGTERM)  # does not wait for the job that runs
        self.frontend.wait(20)
        time.sleep(GRACE_S + 1)  # as long as it takes: it was no leaving
        self.frontend.start()
        for thread in threads:
            thread.join(LIMIT_S)
        self.assertGreater(self.check("shutdown", generations, {grpc.StatusCode.UNAVAILABLE}), CALLS / 2)

    def test_stalls(self):
        pause = threading.Event()
        generations, threads = self.start(self.frontend.address, STALLS, "stall", NARROW, pause, **LARGE)
        wait_until(lambda: self.frontend.metric("cogwheel_api_streams_stalled_total") == STALLS, LIMIT_S, "all are cut")
        time.sleep(GRACE_S + 1)
        pause.set()
        for thread in threads:
            thread.join(LIMIT_S)
        self.assertEqual(STALLS, self.check("stall", generations, {grpc.StatusCode.CANCELLED}))

    def test_who_goes_away_frees_the_ranks_after_the_grace(self):
        call = self.stub.Generate(pb.GenerateRequest(prompt="a red circle", steps=200, seed=1))
        job = next(call).job
        running = wait_until(lambda: self.group().running_job == job, 10, "it runs")
        self.assertTrue(running)
        left = time.monotonic()
        call.cancel()
        ended = wait_until(lambda: self.stub.GetJob(pb.GetJobRequest(name=job), timeout=5).state == pb.CANCELLED, GRACE_S + 5,
                           "it is cancelled")
        self.assertTrue(ended)
        took = time.monotonic() - left
        self.assertGreaterEqual(took, GRACE_S)
        wait_until(lambda: self.group().running_job == "", 5, "the ranks are free")
        record("held", what="left", took_s=round(took, 2))

    def test_a_keyed_call_does_not_cancel_what_CreateJob_made(self):
        request = pb.GenerateRequest(prompt="a red circle", steps=100, seed=1, request_id="kept")
        job = self.stub.CreateJob(pb.CreateJobRequest(request=request)).name
        call = self.stub.Generate(request)
        self.assertEqual(job, next(call).job)
        call.cancel()
        time.sleep(GRACE_S + 1)
        self.assertIn(self.stub.GetJob(pb.GetJobRequest(name=job)).state, (pb.RUNNING, pb.SUCCEEDED))

    def test_a_held_job_that_nobody_holds_goes_and_a_crash_is_no_leaving(self):
        made = [pb.GenerateRequest(prompt="a red circle", steps=200, seed=i) for i in range(2)]
        held = self.stub.CreateJob(pb.CreateJobRequest(request=made[0], hold=True)).name
        watch = self.stub.WatchJob(pb.WatchJobRequest(name=held, hold=True))
        next(watch)
        forgotten = self.stub.CreateJob(pb.CreateJobRequest(request=made[1], hold=True)).name
        wait_until(lambda: self.stub.GetJob(pb.GetJobRequest(name=forgotten)).state == pb.CANCELLED, GRACE_S + 5, "nobody came")
        self.frontend.kill()
        time.sleep(0.1)
        self.frontend.start()
        wait_until(self.group, 30, "a group is ready")
        time.sleep(GRACE_S + 1)
        self.assertIn(self.stub.GetJob(pb.GetJobRequest(name=held)).state, (pb.QUEUED, pb.RUNNING))
        watch = self.stub.WatchJob(pb.WatchJobRequest(name=held, hold=True))
        next(watch)
        watch.cancel()
        wait_until(lambda: self.stub.GetJob(pb.GetJobRequest(name=held)).state == pb.CANCELLED, GRACE_S + 5, "it was left")


if __name__ == "__main__":
    unittest.main()
