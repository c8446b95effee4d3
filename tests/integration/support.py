"""Starts and watches the real programs. Every process carries RUN_MARK in its environment, so that a test can tell what it left."""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# Whole: programs are started in folders of their own.
BIN = os.path.abspath(os.environ.get("COGWHEEL_BIN", os.path.join(ROOT, "build", "release", "bin")))
SHAPES = os.path.join(ROOT, "models", "shapes")
CACHE = os.environ.get("COGWHEEL_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "cogwheel")
sys.path.insert(0, os.environ.get("COGWHEEL_TOOLS") or os.path.join(CACHE, "pytools"))

RUN_MARK = "INTEGRATION_RUN"
START_LIMIT_S = 60
# The least that is a whole job: one frame, one step.
SMALL = ("--frames", "1", "--height", "64", "--width", "64", "--steps", "1")
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def program(name):
    return os.path.join(BIN, name)


def wait_until(condition, limit_s, what):
    """The condition's first true value, asked every 20 ms."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {limit_s} s: {what}")


def processes_of(mark):
    """pid -> command line of the running processes with this mark."""
    wanted = f"{RUN_MARK}={mark}".encode()
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if wanted not in f.read().split(b"\0"):
                    continue
            with open(f"/proc/{pid}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it ended meanwhile
    return found


class Child:
    """A server program with its ready line."""

    def __init__(self, argv, env, log):
        self.log = log
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=stderr,
                                            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def ready_line(self):
        until = time.monotonic() + START_LIMIT_S
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1) if ready else b""
            if not piece:
                raise AssertionError(f"no ready line from {self.process.args[0]}: {self.log_text()[-2000:]}")
            text += piece
        return json.loads(text)

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        return self.process.returncode


class ProcessTest(unittest.TestCase):
    """A test with a folder of its own that leaves no process behind."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cogwheel-test-")
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)
        self.cache = tempfile.mkdtemp(prefix="cogwheel-test-cache-")
        self.addCleanup(shutil.rmtree, self.cache)
        self.mark = uuid.uuid4().hex
        self.addCleanup(self.check_nothing_is_left)

    def check_nothing_is_left(self):
        try:
            left = wait_until(lambda: not processes_of(self.mark), 10, "no process is left")
        except AssertionError:
            left = processes_of(self.mark)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            self.fail(f"left running: {left}")
        finally:
            shutil.rmtree(self.folder)

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("COGWHEEL_", "GRPC_"))}
        return {**kept, RUN_MARK: self.mark, "TMPDIR": self.temporary, "COGWHEEL_MODELS": os.path.dirname(SHAPES),
                "XDG_CACHE_HOME": self.cache, "COGWHEEL_CACHE": CACHE, **more}

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_cogwheel(self, *arguments, **more):
        return subprocess.Popen([program("cogwheel"), *arguments], env=self.environment(**more), cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=die_with_parent)

    def cogwheel(self, *arguments, limit_s=120, **more):
        """Runs the client to its end. stdout and stderr are text."""
        return subprocess.run([program("cogwheel"), *arguments], env=self.environment(**more), cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s,
                              preexec_fn=die_with_parent, errors="replace")

    def succeeds(self, *arguments, **more):
        result = self.cogwheel(*arguments, **more)
        self.assertEqual(0, result.returncode, f"{arguments}: {result.stderr}")
        return result.stdout

    def fails(self, exit_code, *arguments, **more):
        """The one line that it says."""
        result = self.cogwheel(*arguments, **more)
        self.assertEqual(exit_code, result.returncode, f"{arguments}: {result.stderr}")
        lines = [line for line in result.stderr.splitlines()
                 if line.startswith("cogwheel: ") and not line.startswith("cogwheel: warning: ")]
        self.assertEqual(1, len(lines), f"{arguments}: {result.stderr}")
        return lines[0].removeprefix("cogwheel: ")

    def files_left(self):
        """What commands left in their temporary folder."""
        return sorted(os.listdir(self.temporary))

    def start_child(self, name, *arguments):
        child = Child([program(name), *arguments], self.environment(), self.path(f"{name}-{time.monotonic_ns()}.log"))
        self.addCleanup(child.stop)
        return child

    def start_server(self, *more):
        """(child, address)"""
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                                  "--data-dir", self.path(f"data-{time.monotonic_ns()}"), *more)
        return server, server.ready_line()["listen"]

    def start_worker(self, frontend, ranks=1, ring=1, ulysses=1, model=SHAPES, *more):
        worker = self.start_child("cogwheel-worker", "--frontend", frontend, "--model", model, "--ranks", str(ranks),
                                  "--ring", str(ring), "--ulysses", str(ulysses), *more)
        worker.ready_line()
        return worker

    def wait_healthy(self, address, limit_s=60):
        wait_until(lambda: self.cogwheel("health", "--server", address).returncode == 0, limit_s, "healthy")

    def start_service(self, ranks=1, ring=1, ulysses=1):
        """(server, worker, address), ready for jobs."""
        server, address = self.start_server()
        worker = self.start_worker(address, ranks, ring, ulysses)
        self.wait_healthy(address)
        return server, worker, address
