"""Runs the commands of deploy/README.md as a new user would."""

import os
import re
import socket
import subprocess
import unittest

from tools import DEPLOY, ROOT

PORTS = (50051, 9090, 9091, 9101, 9102)
LIMIT_S = 240


def blocks():
    with open(os.path.join(DEPLOY, "README.md")) as f:
        return re.findall(r"^```sh\n(.*?)^```$", f.read(), re.DOTALL | re.MULTILINE)


class WalkTest(unittest.TestCase):
    def test_the_walk(self):
        for port in PORTS:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    self.skipTest(f"port {port} of the walk is in use")
        install, *rest = blocks()
        # Already done by scripts/test, and a build inside a test would fight with it.
        install = re.sub(r"^scripts/(setup|build) .*\n", "", install, flags=re.MULTILINE)
        script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + install + "".join(rest)
        result = subprocess.run(["bash", "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
        self.assertEqual(0, result.returncode, result.stdout[-4000:])


if __name__ == "__main__":
    unittest.main()
