#!/usr/bin/env python3
"""Latency of CreateJob (durable) and GetJob under a steady load with 64 watchers and a simulated group.

    api_latency.py [SECONDS]        default 30; needs `scripts/build release cogwheel-sim-worker api_load`

Judged: CreateJob p99 <= 20 ms at 200/s, GetJob p99 <= 5 ms at 1,000/s.
"""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from cluster import FaultCase  # noqa: E402
from support import program, wait_until  # noqa: E402

SECONDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 30
CREATE_P99_MS, GET_P99_MS = 20.0, 5.0


class ApiLatency(FaultCase):
    def test_latency(self):
        frontend = self.start_frontend("--max-queued-jobs", "100000")
        self.start_workers(1)
        wait_until(lambda: frontend.metric("cogwheel_dispatch_group_up") == 1, 30, "the group is up")
        load = os.path.join(os.path.dirname(program("cogwheel-server")), "..", "tests", "api_load")
        output = subprocess.run([load, "--server", frontend.address, "--seconds", str(SECONDS)], check=True,
                                capture_output=True, text=True).stdout
        print(output, end="")
        figures = json.loads(output)
        for call, limit in (("create", CREATE_P99_MS), ("get", GET_P99_MS)):
            self.assertEqual(0, figures[call]["failures"])
            self.assertLessEqual(figures[call]["p99_ms"], limit, call)


if __name__ == "__main__":
    unittest.main()
