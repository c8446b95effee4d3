#!/usr/bin/env python3
"""Latency of CreateJob (durable) and GetJob under a steady load with 64 watchers and a simulated group.

    api_latency.py [SECONDS [OLD_BIN]]    default 30; `scripts/build release cogwheel-server-faults cogwheel-sim-worker api_load` first

Judged: CreateJob p99 <= 20 ms at 200/s, GetJob p99 <= 5 ms at 1,000/s. With OLD_BIN, the folder of an earlier build's programs, both are
measured by turns, and the new ones are to be no slower: the medians of their rounds' p50 and p99 at most 10 % above.
"""

import json
import os
import statistics
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from cluster import FaultCase, Frontend  # noqa: E402
from scale import record  # noqa: E402
from support import BIN, program, wait_until  # noqa: E402

OLD_BIN = os.path.abspath(sys.argv.pop(2)) if len(sys.argv) > 2 else None
SECONDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 30
LIMITS_MS = {"create": 20.0, "get": 5.0}
ROUNDS, SLOWER = 5, 1.1
SERVER, WORKER = "cogwheel-server-faults", "cogwheel-sim-worker"


class ApiLatency(FaultCase):
    def start(self, folder):
        frontend = Frontend(self, "--max-queued-jobs", "100000", program_name=os.path.join(folder, SERVER))
        self.addCleanup(frontend.close)
        frontend.start()
        self.start_workers(1, frontend=frontend.address, program_name=os.path.join(folder, WORKER))
        wait_until(lambda: frontend.metric("cogwheel_dispatch_group_up") == 1, 30, "the group is up")
        return frontend

    def measure(self, frontend, who, seconds):
        load = os.path.join(os.path.dirname(program(SERVER)), "..", "tests", "api_load")
        output = subprocess.run([load, "--server", frontend.address, "--seconds", str(seconds)], check=True, capture_output=True,
                                text=True).stdout
        figures = json.loads(output)
        record("api_latency", who=who, **figures)
        for call in LIMITS_MS:
            self.assertEqual(0, figures[call]["failures"])
        return figures

    def test_latency(self):
        figures = self.measure(self.start(BIN), "new", SECONDS)
        for call, limit in LIMITS_MS.items():
            self.assertLessEqual(figures[call]["p99_ms"], limit, call)

    @unittest.skipUnless(OLD_BIN, "no programs of an earlier build were named")
    def test_no_slower_than_before(self):
        servers = {"old": self.start(OLD_BIN), "new": self.start(BIN)}
        rounds = {who: [] for who in servers}
        for number in range(ROUNDS):
            for who in sorted(servers, reverse=number % 2 == 0):  # neither is always the first
                rounds[who].append(self.measure(servers[who], who, max(1, SECONDS // ROUNDS)))
        for call in LIMITS_MS:
            for share in ("p50_ms", "p99_ms"):
                median = {who: statistics.median(one[call][share] for one in rounds[who]) for who in servers}
                record("api_beside", call=call, share=share, **median)
                self.assertLessEqual(median["new"], SLOWER * median["old"], f"{call} {share}")


if __name__ == "__main__":
    unittest.main()
