"""One tenant makes all the noise it can, and a stranger sends requests that never end: the other tenant's results, keys, answers
and share stay as they were, and the server's memory too."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import unittest

from caller import open_channel
from cluster import HERE, FaultCase, Frontend, free_port, wait_until
from resources import resident_bytes
from scale import choose, record
from stubs import grpc, pb, rpc
from support import die_with_parent

QUIET, NOISY, RANKS_SECRET = "quiet-token", "noisy-token", "the ranks' secret"
KEPT = 12  # finished jobs of the quiet tenant
CANCELS, PICTURES, STREAMS, HALF_OPEN = choose(1_500, 10_000), 64, 1_024, choose(1_000, 4_000)
MOST_KEPT_JOBS = choose(1_000, 10_000)
HALF_OPEN_BYTES = (17 << 20) - 1024
CALLS, CALLS_PER_S = choose(200, 1_000), 20
SHARE_JOBS, WAITING = choose(120, 400), 30
CREATE_P99_LIMIT_S, SHARE_TOLERANCE, MEMORY_LIMIT_BYTES = 0.1, 0.05, 1 << 30
STRANGERS_NICENESS = 19  # they have machines of their own


class TwoTenantsTest(FaultCase):
    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o600)
        return self.path(name)

    def start(self):
        access = {"tenants": [{"name": name, "weight": 1} for name in ("quiet", "noisy")],
                  "tokens": [{"sha256": hashlib.sha256(token.encode()).hexdigest(), "tenant": tenant, "roles": ["submit", "read"]}
                             for tenant, token in (("quiet", QUIET), ("noisy", NOISY))]}
        secret = self.write("rank-token", RANKS_SECRET)
        ranks = f"127.0.0.1:{free_port()}"
        self.frontend = Frontend(self, "--access-file", self.write("access.json", json.dumps(access)), "--internal-listen", ranks,
                                 "--rank-token-file", secret, "--max-kept-jobs", str(MOST_KEPT_JOBS), "--max-queued-jobs", "2000")
        self.addCleanup(self.frontend.close)
        self.frontend.start()
        self.start_workers(1, frontend=ranks, flags=("--rank-token-file", secret))
        self.start_workers(1, frontend=ranks, group="pictures", flags=("--rank-token-file", secret, "--model-name", "pictures"),
                           SIM_IMAGE_REQUIRED="1")
        self.channel = open_channel(self.frontend.address)
        self.addCleanup(self.channel.close)
        self.stub, self.numbers, self.broken = rpc.VideoServiceStub(self.channel), itertools.count(), 0
        self.metadata = (("authorization", f"Bearer {QUIET}"),)
        wait_until(lambda: self.frontend.metric("cogwheel_dispatch_group_up") == 2, 30, "both groups are up")

    def create(self, key="", seed=1):
        """As any client does it: asked again where the connection breaks, which is counted."""
        key = key or f"quiet-{next(self.numbers)}"
        request = pb.GenerateRequest(prompt="hush", steps=1, seed=seed, model="sim", request_id=key,
                                     output_type=pb.OUTPUT_TYPE_FRAMES)
        while True:
            try:
                return self.stub.CreateJob(pb.CreateJobRequest(request=request), metadata=self.metadata, timeout=30)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                self.broken += 1

    def get(self, name):
        return self.stub.GetJob(pb.GetJobRequest(name=name), metadata=self.metadata, timeout=30)

    def download(self, name):
        chunks = self.stub.DownloadVideo(pb.DownloadVideoRequest(name=name), metadata=self.metadata, timeout=30)
        return b"".join(chunk.data for chunk in chunks)

    def stranger(self, script, *arguments):
        process = subprocess.Popen([sys.executable, os.path.join(HERE, script), *map(str, arguments)], env=self.environment(),
                                   stdout=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: (die_with_parent(), os.nice(STRANGERS_NICENESS)))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def watch_memory(self):
        """Calls the strangers off before the machine suffers."""
        while not self.over.wait(0.1) and self.frontend.alive():
            self.most_bytes = max(self.most_bytes, resident_bytes(self.frontend.pid))
            if self.most_bytes > 2 * MEMORY_LIMIT_BYTES:
                for process in self.strangers.values():
                    process.kill()

    def call_steadily(self):
        """Seconds that each of its CreateJob calls took, in order of length."""
        took, begin = [], time.monotonic()
        for number in range(CALLS):
            time.sleep(max(0.0, begin + number / CALLS_PER_S - time.monotonic()))
            started = time.monotonic()
            job = self.create(seed=number)
            took.append(time.monotonic() - started)
            self.stub.CancelJob(pb.CancelJobRequest(name=job.name), metadata=self.metadata, timeout=30)
        return sorted(took)

    def finished(self, tenant):
        return self.frontend.metric("cogwheel_dispatch_jobs_finished_total", tenant=tenant, outcome="SUCCEEDED") or 0

    def share(self):
        """Of the jobs that end while both tenants have some waiting, the quiet one's."""
        before = self.finished("quiet")
        for number in range(SHARE_JOBS):
            self.create(seed=number)
        begin = {tenant: self.finished(tenant) for tenant in ("quiet", "noisy")}
        wait_until(lambda: self.finished("quiet") - before >= SHARE_JOBS - 10, 120, "its jobs end")
        ended = {tenant: self.finished(tenant) - begin[tenant] for tenant in begin}
        return ended["quiet"] / sum(ended.values())

    def test_a_noisy_tenant_and_strangers(self):
        self.start()
        kept = [self.create(f"kept-{i}", seed=i).name for i in range(KEPT)]
        for name in kept:
            wait_until(lambda: self.get(name).state == pb.SUCCEEDED, 30, "what is kept succeeds")
        bytes_before = [self.download(name) for name in kept]
        self.most_bytes, self.strangers, self.over = 0, {}, threading.Event()
        memory = threading.Thread(target=self.watch_memory, daemon=True)
        memory.start()
        address = self.frontend.address
        self.strangers = {
            "cancels": self.stranger("noisy_tenant.py", address, NOISY, "cancels", CANCELS),
            "pictures": self.stranger("noisy_tenant.py", address, NOISY, "pictures", PICTURES, "pictures"),
            "streams": self.stranger("noisy_tenant.py", address, NOISY, "streams", STREAMS),
            "half open": self.stranger("half_open.py", address, HALF_OPEN, HALF_OPEN_BYTES),
        }
        took = self.call_steadily()
        said = {name: process.stdout.readline().split() for name, process in self.strangers.items()}
        for process in self.strangers.values():
            process.kill()
        waiting = self.stranger("noisy_tenant.py", address, NOISY, "jobs", WAITING)
        self.assertEqual("at it", " ".join(waiting.stdout.readline().split()[:2]))
        share = self.share()
        waiting.kill()
        self.over.set()
        memory.join()
        p99 = took[int(0.99 * (len(took) - 1))]
        record("two_tenants", create_p50_ms=round(took[len(took) // 2] * 1e3, 1), create_p99_ms=round(p99 * 1e3, 1),
               share=round(share, 3), broken=self.broken, most_resident_mib=self.most_bytes >> 20,
               taken={name: words[-1] if words else "" for name, words in said.items()})
        self.assertEqual({pb.SUCCEEDED}, {self.get(name).state for name in kept})
        self.assertEqual(bytes_before, [self.download(name) for name in kept])
        self.assertEqual(kept, [self.create(f"kept-{i}", seed=i).name for i in range(KEPT)], "its keys are known")
        self.assertLessEqual(p99, CREATE_P99_LIMIT_S)
        self.assertAlmostEqual(0.5, share, delta=0.5 * SHARE_TOLERANCE)
        self.assertLessEqual(self.most_bytes, MEMORY_LIMIT_BYTES)


if __name__ == "__main__":
    unittest.main()
