"""One rank of four is killed or stopped in a phase of its life; what the group's way back took, from the signal."""

import hashlib
import os
import signal
import time

import failpoints
from caller import Caller
from cluster import FaultCase, processes_of, wait_until
from epochs import first_line, read_mark
from history import History, check
from stubs import pb

RANKS = 4
# The text is encoded on rank 0 alone and waited for by the others: it belongs to the broadcast.
PHASES = tuple(name for name in failpoints.RANKS if name != "rank.text")
IN_A_JOB = ("rank.broadcast", "rank.step", "rank.decode", "rank.stream")
HIT_LIMIT_S = 60
# Of reliability.md; `detected` of a stopped rank is suspect.
LIMITS_S = {"kill": {"detected_s": 5, "dead_s": 5, "ready_s": 20}, "stop": {"detected_s": 6, "dead_s": 16, "ready_s": 40}}


class Simulated:
    """Ranks whose video the test computes."""
    program, model, checked_ranks = "cogwheel-sim-worker", ".", RANKS

    def __init__(self, case):
        pass

    def request(self, seed, prompt):
        return {"seed": seed, "prompt": prompt}

    def check(self, case, caller, job):
        pass  # the history's checker does


class Real:
    """Ranks that run the shipped model; the video is compared with that of an undisturbed group."""
    program, model, checked_ranks = "cogwheel-worker-faults", os.path.join(failpoints.ROOT, "models", "shapes"), 0
    digests = {}

    def __init__(self, case):
        if not self.digests:
            cluster = Cluster(case, self)
            for prompt in PHASES:
                job = cluster.caller.create(prompt, **self.request(1, prompt)).name
                assert cluster.caller.watch(job) == "succeeded"
                self.digests[prompt] = cluster.caller.get(job).sha256
            cluster.close()

    def request(self, seed, prompt):
        return {"seed": 1, "prompt": prompt, "output_type": pb.OUTPUT_TYPE_VIDEO, "steps": 6, "frames": 9, "height": 64, "width": 64}

    def check(self, case, caller, job):
        case.assertEqual(self.digests[job.request.prompt], job.sha256)
        case.assertEqual(job.sha256, hashlib.sha256(caller.download(job.name)).hexdigest())


class Cluster:
    """A frontend and one group of four ranks."""

    def __init__(self, case, kind, wait=True, **armed):
        self.case = case
        self.frontend = case.start_frontend()
        self.workers = case.start_workers(RANKS, program_name=kind.program, model=kind.model, **armed)
        self.history = History()
        self.caller = Caller(self.frontend.address, self.history, limit_s=120)
        if wait:
            self.caller.wait_group(60)

    def close(self):
        self.caller.close()
        self.workers.close()
        self.frontend.close()


class RankLossCase(FaultCase):
    def lose(self, kind, action, phase, rank, seed, passes=1, resume_s=0.0):
        """Figures of one loss, after all was held against the promises. A stopped rank goes on after `resume_s`."""
        mark = self.path(f"mark-{time.monotonic_ns()}")
        cluster = Cluster(self, kind, phase in IN_A_JOB, COGWHEEL_FAILPOINT=f"{phase}/{rank}={action}@{passes}",
                          COGWHEEL_FAILPOINT_MARK=mark)
        caller, log = cluster.caller, cluster.frontend.log
        job = caller.create("hit", **kind.request(seed, phase)).name if phase in IN_A_JOB else None
        _, pid, hit = read_mark(mark, HIT_LIMIT_S)
        limits = LIMITS_S[action]
        noticed = "group lost" if action == "kill" else "rank suspect"
        figures = {"detected_s": first_line(log, noticed, hit, limits["detected_s"] + 5),
                   "dead_s": first_line(log, "group lost", hit, limits["dead_s"] + 5)}
        caller.wait_group(limits["ready_s"] + 5, after_epoch=1)
        figures["ready_s"] = first_line(log, "group formed", hit, limits["ready_s"])
        self.wake(pid, hit + resume_s)
        job = job or caller.create("after", **kind.request(seed, phase)).name
        self.assertEqual("succeeded", caller.watch(job))
        self.assertEqual(2, caller.groups()["default"].epoch, "exactly one epoch more")
        ended = caller.get(job)
        self.assertEqual(2, ended.epoch)
        kind.check(self, caller, ended)
        check(cluster.history, caller, cluster.frontend, kind.checked_ranks)
        cluster.close()
        for name, seconds in figures.items():
            self.assertLessEqual(seconds, limits[name], name)
        return {name: round(seconds, 3) for name, seconds in figures.items()} | {"attempt": ended.attempt}

    def wake(self, pid, when):
        """Lets a stopped rank go on, unless its launcher has killed it; it has nothing to say any more and leaves."""
        time.sleep(max(0.0, when - time.monotonic()))
        if pid in processes_of(self.mark):
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: pid not in processes_of(self.mark), 10, "the zombie leaves")
