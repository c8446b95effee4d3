"""What one tenant does takes nothing from another: results, keys, places."""

import hashlib
import json
import unittest

from support import SHAPES, ProcessTest, wait_until

import grpc
from stubs import connect, details, pb

A, B = "secret-of-tenant-a", "secret-of-tenant-b"
ALL = ["submit", "read", "operate"]
KEPT, QUEUED = 40, 20  # in all: half of each is one tenant's share


class TenantsTest(ProcessTest):
    def setUp(self):
        super().setUp()
        with open(self.path("access.json"), "w") as f:
            json.dump({"tenants": [{"name": "a"}, {"name": "b"}], "tokens": [
                {"sha256": hashlib.sha256(token.encode()).hexdigest(), "tenant": name, "roles": ALL}
                for name, token in (("a", A), ("b", B))]}, f)
        with open(self.path("rank.token"), "w") as f:
            f.write("the-secret-of-the-ranks\n")

    def start(self, *flags):
        server = self.start_child(
            "cogwheel-server", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
            "--data-dir", self.path("data"), "--access-file", self.path("access.json"), "--rank-token-file",
            self.path("rank.token"), *flags)
        ready = server.ready_line()
        worker = self.start_worker(ready.get("internal", ready["listen"]), 1, 1, 1, SHAPES, "--rank-token-file", self.path("rank.token"))
        wait_until(lambda: self.cogwheel("health", "--server", ready["listen"]).returncode == 0, 60, "healthy")
        channel, self.stub = connect(ready["listen"])
        self.addCleanup(channel.close)
        return worker

    def call(self, token, method, request):
        return getattr(self.stub, method)(request, metadata=[("authorization", f"bearer {token}")], timeout=60)

    def refused(self, token, method, request):
        with self.assertRaises(grpc.RpcError) as refusal:
            answer = self.call(token, method, request)
            list(answer) if hasattr(answer, "__next__") else answer
        return refusal.exception

    def create(self, token, key="", **more):
        request = pb.GenerateRequest(prompt="a red circle", steps=1, request_id=key, **more)
        return self.call(token, "CreateJob", pb.CreateJobRequest(request=request))

    def cancel(self, token, job):
        self.call(token, "CancelJob", pb.CancelJobRequest(name=job.name))

    def ended(self, token, job):
        return list(self.call(token, "WatchJob", pb.WatchJobRequest(name=job.name)))[-1]

    def test_a_storm_of_cancelled_jobs_leaves_the_others_results_and_keys(self):
        self.start("--max-kept-jobs", str(KEPT))
        kept = self.create(A, "a's key")
        self.assertEqual("succeeded", self.ended(A, kept).WhichOneof("event"))
        first = self.create(B, "b's key")
        self.cancel(B, first)
        for _ in range(2 * KEPT):
            self.cancel(B, self.create(B))
        wait_until(lambda: len(self.call(B, "ListJobs", pb.ListJobsRequest(page_size=1000)).jobs) == KEPT // 2, 30, "b is trimmed")
        chunks = list(self.call(A, "DownloadVideo", pb.DownloadVideoRequest(name=kept.name)))
        self.assertEqual(kept.name, self.create(A, "a's key").name)
        video = b"".join(chunk.data for chunk in chunks)
        self.assertEqual(chunks[-1].sha256, hashlib.sha256(video).hexdigest())
        # b's own first job is gone, its key is not: a retry within the day is no second job.
        error = self.refused(B, "CreateJob", pb.CreateJobRequest(request=pb.GenerateRequest(
            prompt="a red circle", steps=1, request_id="b's key")))
        self.assertEqual(grpc.StatusCode.NOT_FOUND, error.code())
        self.assertIn(first.name, error.details())
        self.assertIn("UNKNOWN_JOB", str(details(error)))

    def test_who_fills_its_places_leaves_the_others_theirs(self):
        worker = self.start("--max-queued-jobs", str(QUEUED))
        worker.stop()
        for _ in range(QUEUED // 2):
            self.create(B)
        error = self.refused(B, "CreateJob", pb.CreateJobRequest(request=pb.GenerateRequest(prompt="a red circle")))
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, error.code())
        self.assertEqual(f"tenant b has {QUEUED // 2} jobs queued; its limit is {QUEUED // 2}", error.details())
        for _ in range(QUEUED // 2):
            self.create(A)


if __name__ == "__main__":
    unittest.main()
