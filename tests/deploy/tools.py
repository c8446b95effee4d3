"""Where the tests of deploy/ find their tools (scripts/setup --tests puts them there)."""

import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DEPLOY = os.path.join(ROOT, "deploy")
CACHE = os.environ.get("COGWHEEL_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "cogwheel")
TOOLS = os.path.join(CACHE, "deploy-tools")
KUBECTL = os.path.join(TOOLS, "bin", "kubectl")
PROMTOOL = os.path.join(TOOLS, "prometheus", "usr", "bin", "promtool")
AMTOOL = os.path.join(TOOLS, "prometheus", "usr", "bin", "amtool")
PROMETHEUS = os.path.join(TOOLS, "prometheus", "usr", "bin", "prometheus")
sys.path.insert(0, TOOLS)


def run(*argv, limit_s=60, **more):
    """stdout and stderr together; AssertionError when it fails."""
    result = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s, **more)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {result.stdout}")
    return result.stdout
