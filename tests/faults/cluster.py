"""A frontend and groups of ranks as real processes on loopback, made to be killed, stopped and started again.

The programs are those with failpoints: cogwheel-server-faults, and cogwheel-sim-worker whose pipeline is simulated.
"""

import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
from support import Child, ProcessTest, processes_of, program, wait_until  # noqa: E402

# Below the system's own ports: a port must be free again when its owner is started anew, and a rank that dials it
# meanwhile must not get it as its own end of the connection.
PORTS = (20_000, 32_000)
RESTART_PAUSE_S = 0.2


def free_port():
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def failpoint_environment(failpoint, mark=None, seen=None):
    values = {"COGWHEEL_FAILPOINT": failpoint, "COGWHEEL_FAILPOINT_MARK": mark, "COGWHEEL_FAILPOINT_SEEN": seen}
    return {name: value for name, value in values.items() if value}


class Frontend:
    """One data directory and one address over any number of server processes. Started from the main thread only:
    children die with the thread that made them."""

    def __init__(self, case, *flags, program_name="cogwheel-server-faults", **environment):
        self.case = case
        self.program = program(program_name)
        self.flags = flags
        self.environment = environment
        self.data = tempfile.mkdtemp(prefix="data-", dir=case.folder)
        self.log = f"{self.data}.log"
        self.address = f"127.0.0.1:{free_port()}"
        self.admin = f"127.0.0.1:{free_port()}"
        self.child = None
        self.starts = 0

    def start(self, **environment):
        """Seconds until its ready line."""
        begin = time.monotonic()
        argv = [self.program, "--listen", self.address, "--admin-listen", self.admin, "--data-dir", self.data, *self.flags]
        self.child = Child(argv, self.case.environment(**self.environment, **environment), self.log)
        self.child.ready_line()
        self.starts += 1
        return time.monotonic() - begin

    def start_armed(self, **environment):
        """False when the failpoint ended it before it was ready."""
        try:
            self.start(**environment)
        except AssertionError:
            return False
        return True

    @property
    def pid(self):
        return self.child.process.pid

    def alive(self):
        return self.child is not None and self.child.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.child.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.process.wait()
        self.child.process.stdout.close()

    def wait(self, limit_s):
        """Exit code."""
        code = self.child.process.wait(limit_s)
        self.child.process.stdout.close()
        return code

    def close(self):
        if self.alive():
            self.signal(signal.SIGCONT)
            self.child.stop()

    def http(self, path, limit_s=5):
        """(status, text)"""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=limit_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """{(name, ((label, value), ...)): number}"""
        found = {}
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith("#") or not line.strip():
                continue
            name, value = line.rsplit(" ", 1)
            name, _, labels = name.partition("{")
            pairs = tuple(tuple(pair.split("=", 1)) for pair in labels.rstrip("}").split(",") if pair)
            found[name, tuple((key, text.strip('"')) for key, text in pairs)] = float(value)
        return found

    def metric(self, name, **labels):
        """Sum over all series of the name with these labels; None when there is no series of the name."""
        series = {key: value for key, value in self.metrics().items() if key[0] == name}
        if not series:
            return None
        wanted = {(key, str(value)) for key, value in labels.items()}
        return sum(value for (_, pairs), value in series.items() if wanted <= set(pairs))


class Workers:
    """The ranks of one group under their launcher, which is started again whenever it ends, as an orchestrator would."""

    def __init__(self, case, frontend, ranks=1, group="default", program_name="cogwheel-sim-worker", model=".", flags=(),
                 **environment):
        self.case = case
        self.ranks = ranks
        self.argv = [program(program_name), *flags, "--frontend", frontend, "--model", model, "--ring", str(ranks),
                     "--group", group]
        self.environment = environment
        self.log = case.path(f"worker-{group}.log")
        self.closing = threading.Event()
        self.changed = threading.Condition()
        self.process = None
        self.exits = []
        self.thread = threading.Thread(target=self.supervise, daemon=True)
        self.thread.start()

    def supervise(self):
        while not self.closing.is_set():
            child = Child(self.argv, self.case.environment(**self.environment), self.log)
            with self.changed:
                self.process = child.process
                self.changed.notify_all()
            while child.process.poll() is None:
                self.closing.wait(0.02)
                if self.closing.is_set():
                    break
            if self.closing.is_set():
                child.process.kill()
            self.exits.append(child.process.wait())
            child.process.stdout.close()
            self.closing.wait(RESTART_PAUSE_S)

    def pids(self):
        """{local rank: pid} of those that run."""
        found = {}
        for pid, command in processes_of(self.case.mark).items():
            words = command.split()
            if "--local-rank" in words and words[words.index("--group") + 1] == self.argv[-1]:
                found[int(words[words.index("--local-rank") + 1])] = pid
        return found

    def signal(self, local_rank, number):
        os.kill(wait_until(lambda: self.pids().get(local_rank), 10, f"rank {local_rank} runs"), number)

    def close(self):
        self.closing.set()
        for pid in self.pids().values():  # a stopped one would not see its parent's death
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.thread.join(20)


class FaultCase(ProcessTest):
    """A test with a folder, a frontend and groups of its own."""

    def start_frontend(self, *flags, **environment):
        self.frontend = Frontend(self, *flags, **environment)
        self.addCleanup(self.frontend.close)
        self.frontend.start()
        return self.frontend

    def start_workers(self, ranks=1, frontend=None, **more):
        workers = Workers(self, frontend or self.frontend.address, ranks, **more)
        self.addCleanup(workers.close)
        return workers

    def log_tail(self, lines=40):
        tails = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(self.path(name), errors="replace") as f:
                    tails.append(f"--- {name}\n" + "".join(f.readlines()[-lines:]))
        return "\n".join(tails)
