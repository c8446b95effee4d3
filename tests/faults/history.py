"""What was asked and answered, and whether it can be true: the invariants I1 to I8 of the service.

I1 each acknowledged submit reaches exactly one terminal state      I5 a terminal state never changes
I2 at most one committed output a job, with the right bytes         I6 the answers about a job fit one order of its life
I3 nothing of an older epoch or attempt is seen                     I7 no file without an owner after the sweep
I4 an idempotency key maps to one job                               I8 counters equal the history
I9 no job is charged for what it has not done (where a run knows that none has done anything)
"""

import collections
import hashlib
import os
import threading
import time

import simulation
from cluster import wait_until
from epochs import log_lines
from stubs import pb

TERMINAL = {pb.SUCCEEDED, pb.FAILED, pb.CANCELLED, pb.EXPIRED}
LAST = 1 << 62


class Broken(AssertionError):
    """An invariant does not hold."""


class Operation:
    """One call: `outcome` is "ok", the name of a status code, or "unknown" when nothing was answered."""

    def __init__(self, kind, key=None, job=None):
        self.kind, self.key, self.job = kind, key, job
        self.begin, self.end = time.monotonic(), None
        self.outcome, self.answer = "unknown", None

    def ended(self, outcome, answer=None):
        self.end = time.monotonic()
        self.outcome, self.answer = outcome, answer

    def __repr__(self):
        state = pb.JobState.Name(self.answer.state) + f"/{self.answer.attempt}" if isinstance(self.answer, pb.Job) else ""
        return f"[{self.begin:.3f} {self.end or 0:.3f}] {self.kind} {self.key or ''} {self.job or ''} {self.outcome} {state}"


class History:
    """Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.operations = []
        self.errors = []
        self.events = collections.defaultdict(list)  # job -> streams, each a list of its events

    def begin(self, kind, **names):
        operation = Operation(kind, **names)
        with self.lock:
            self.operations.append(operation)
        return operation

    def failed(self, error):
        """What a call was told in place of an answer."""
        with self.lock:
            self.errors.append(f"{error.details()} {error.trailing_metadata()}")

    def stream(self, job):
        events = []
        with self.lock:
            self.events[job].append(events)
        return events

    def acknowledged(self):
        """{key: names of the jobs that submits with it were answered with}"""
        found = collections.defaultdict(set)
        for operation in self.operations:
            if operation.kind == "create" and operation.outcome == "ok":
                found[operation.key].add(operation.answer.name)
        return found

    def deleted(self):
        """Jobs that a delete was asked of: they may be there or not."""
        return {operation.job for operation in self.operations if operation.kind == "delete"}

    def jobs_observed(self):
        """{job: operations that answered with it, in the order of their ends}"""
        found = collections.defaultdict(list)
        for operation in self.operations:
            if operation.outcome == "ok" and isinstance(operation.answer, pb.Job):
                found[operation.answer.name].append(operation)
        for operations in found.values():
            operations.sort(key=lambda operation: operation.end)
        return found


def age(job):
    """A number that only rises in a job's life: RUNNING of attempt k, then perhaps QUEUED after it, then the end."""
    if job.state in TERMINAL:
        return LAST
    return 2 * job.attempt - (1 if job.state == pb.RUNNING else 0)


def ending(job):
    return job.state, job.sha256, job.size_bytes, job.error.reason, job.attempt, job.end_time.ToNanoseconds()


def check_one_job_a_key(history, listed):
    """I4"""
    for key, names in history.acknowledged().items():
        if len(names) > 1:
            raise Broken(f"I4: key {key} was answered with {sorted(names)}")
    keys = collections.Counter(job.labels_key for job in listed if job.labels_key)
    for key, count in keys.items():
        if count > 1:
            raise Broken(f"I4: {count} jobs of key {key}")


def check_order(operations):
    """I5, I6: of two answers, the one that was asked for after the other had come shows no earlier life."""
    seen = []  # (end, age, operation), the largest age so far last
    for operation in sorted(operations, key=lambda o: o.begin):
        before = [entry for entry in seen if entry[0] < operation.begin]
        oldest = max(before, key=lambda entry: entry[1], default=None)
        if oldest is not None and oldest[1] > age(operation.answer):
            raise Broken(f"I6: {oldest[2]!r} was answered before {operation!r} was asked")
        seen.append((operation.end, age(operation.answer), operation))
    ends = {ending(operation.answer) for operation in operations if operation.answer.state in TERMINAL}
    if len(ends) > 1:
        raise Broken(f"I5: {operations[0].answer.name} ended as {ends}")


def check_absence(history):
    """I6: a job is found from its acknowledgement until its deletion was asked, and never after that was answered."""
    created = {o.answer.name: o.end for o in reversed(history.operations) if o.kind == "create" and o.outcome == "ok"}
    asked, done = {}, {}
    for operation in history.operations:
        if operation.kind == "delete":
            asked[operation.job] = min(operation.begin, asked.get(operation.job, operation.begin))
            if operation.outcome == "ok":
                done[operation.job] = min(operation.end, done.get(operation.job, operation.end))
    for operation in history.operations:
        if operation.kind not in ("get", "cancel"):
            continue
        known_since = created.get(operation.job)
        if operation.outcome == "NOT_FOUND" and known_since is not None and known_since < operation.begin \
                and operation.end < asked.get(operation.job, float("inf")):
            raise Broken(f"I1: an acknowledged job is not there: {operation!r}")
        if operation.outcome == "ok" and operation.begin > done.get(operation.job, float("inf")):
            raise Broken(f"I6: a deleted job is there: {operation!r}")


def check_events(job, streams):
    """I3: along each stream sequence and attempt only rise, and nothing follows the end."""
    kinds = {}
    for events in streams:
        last = None
        for event in events:
            kind = event.WhichOneof("event")
            if kind == "snapshot":
                continue
            if last is not None and (event.sequence <= last.sequence or event.attempt < last.attempt):
                raise Broken(f"I3: {job}: event {event.sequence}/{event.attempt} after {last.sequence}/{last.attempt}")
            if event.sequence >> 32 != event.attempt:
                raise Broken(f"I3: {job}: sequence {event.sequence} in attempt {event.attempt}")
            if last is not None and last.WhichOneof("event") in ("succeeded", "failed", "cancelled", "expired"):
                raise Broken(f"I5: {job}: {kind} after its end")
            if kinds.setdefault(event.sequence, kind) != kind:
                raise Broken(f"I3: {job}: sequence {event.sequence} is {kind} and was {kinds[event.sequence]}")
            last = event


def check_acknowledged(history, listed):
    """I1"""
    names = {job.job.name for job in listed}
    deleted = history.deleted()
    for key, acknowledged in history.acknowledged().items():
        for name in acknowledged - names - deleted:
            raise Broken(f"I1: the acknowledged {name} of key {key} is gone")
    for job in listed:
        if job.job.state not in TERMINAL:
            raise Broken(f"I1: {job.job.name} is {pb.JobState.Name(job.job.state)}")


def check_output(caller, job, ranks):
    """I2"""
    data = caller.download(job.name)
    if hashlib.sha256(data).hexdigest() != job.sha256 or len(data) != job.size_bytes:
        raise Broken(f"I2: {job.name}: the bytes of its result are not those of its digest")
    if ranks and job.request.output_type == pb.OUTPUT_TYPE_FRAMES \
            and simulation.payload(data) != simulation.expected_of(job, ranks):
        raise Broken(f"I2: {job.name}: the video is not that of an undisturbed run")


def files_of(data):
    """{digest: path} of the committed results, [other files]"""
    results, others = {}, []
    for folder in ("artefacts", "tmp", "inputs"):
        for root, _, names in os.walk(os.path.join(data, folder)):
            for name in names:
                path = os.path.join(root, name)
                if folder == "artefacts":
                    results[name.split(".")[0]] = path
                else:
                    others.append(path)
    return results, others


def check_files(data, listed, swept_later, settle_s):
    """I7: every result is there, and what nobody owns is gone. Only of jobs that were deleted may a crash between row and file
    leave one for the sweep, whose grace is a day: `swept_later`."""
    owned = {job.job.sha256 for job in listed if job.job.state == pb.SUCCEEDED}
    missing = owned - set(files_of(data)[0])
    if missing:
        raise Broken(f"I2: files of succeeded jobs are missing: {missing}")

    def unowned():
        results, others = files_of(data)
        return sorted(set(results) - owned - swept_later) + others
    try:
        wait_until(lambda: not unowned(), settle_s, "what nobody owns is gone")
    except AssertionError:
        raise Broken(f"I7: nobody owns {unowned()}") from None


def check_counters(frontend, history, listed):
    """I8: accepted = finished + in flight, and both as the jobs say."""
    def told():
        accepted = frontend.metric("cogwheel_queue_jobs_accepted_total") or 0
        finished = {name: frontend.metric("cogwheel_dispatch_jobs_finished_total", outcome=name) or 0
                    for name in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")}
        return accepted, finished
    states = collections.Counter(pb.JobState.Name(job.job.state) for job in listed)
    deleted = bool(history.deleted())

    def equal():
        accepted, finished = told()
        if accepted != sum(finished.values()):
            return False
        return deleted or all(finished[name] == states.get(name, 0) for name in finished)
    try:
        wait_until(equal, 3, "counters equal the history")
    except AssertionError:
        raise Broken(f"I8: counters {told()}, jobs {dict(states)}") from None


def check_uncharged(frontend):
    """I9: the log alone tells of charges, with each attempt that was lost."""
    for _, fields in log_lines(frontend.log, "job queued again", since=0):
        if fields["charges"] != "0":
            raise Broken(f"I9: {fields['job']} is charged: {fields['error']}")


class Listed:
    """A job of the last listing, with the key that its labels tell."""

    def __init__(self, job):
        self.job = job
        self.labels_key = job.request.labels.get("key", "")


def check(history, caller, frontend, ranks, settle_s=10):
    """Holds everything against the history, after all jobs have ended."""
    listed = [Listed(job) for job in caller.list_all()]
    check_one_job_a_key(history, listed)
    check_acknowledged(history, listed)
    check_absence(history)
    observed = history.jobs_observed()
    for name, operations in observed.items():
        check_order(operations)
    for name, streams in history.events.items():
        check_events(name, streams)
    for job in listed:
        if job.job.state == pb.SUCCEEDED:
            check_output(caller, job.job, ranks)
    deleted = {operation.answer.sha256 for name in history.deleted() for operation in observed.get(name, ())}
    check_files(frontend.data, listed, deleted, settle_s)
    check_counters(frontend, history, listed)
    return collections.Counter(pb.JobState.Name(job.job.state) for job in listed)
