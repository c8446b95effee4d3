"""The .proto files under buf, where it is on the PATH (npm: @bufbuild/buf): its rules but for those that buf.yaml excepts, and
nothing that breaks callers of the branch main."""

import os
import shutil
import subprocess
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUF = shutil.which("buf")


@unittest.skipUnless(BUF, "buf is not on the PATH")
class BufTest(unittest.TestCase):
    def buf(self, *arguments):
        result = subprocess.run([BUF, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=50)
        self.assertEqual((0, ""), (result.returncode, result.stdout + result.stderr))

    def test_lint(self):
        self.buf("lint")

    def test_breaking(self):
        known = subprocess.run(["git", "rev-parse", "--verify", "--quiet", "main"], cwd=ROOT, capture_output=True)
        if known.returncode:
            self.skipTest("no branch main to compare with")
        self.buf("breaking", "--against", ".git#branch=main")


if __name__ == "__main__":
    unittest.main()
