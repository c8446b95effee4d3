"""The checker objects to every history that cannot be: one planted fault of each kind."""

import hashlib
import json
import os
import shutil
import tempfile
import unittest

from cluster import HERE  # noqa: F401  (first: it says where the packages are)
from history import Broken, History, Listed, check_absence, check_acknowledged, check_counters, check_events, check_files, \
    check_one_job_a_key, check_order, check_output, check_uncharged
from simulation import frames, payload
from stubs import pb

JOB = "jobs/01arz3ndektsv4rrffq69g5fav"
OTHER = "jobs/01arz3ndektsv4rrffq69g5fax"


def job(state, attempt=1, name=JOB, key="", **fields):
    made = pb.Job(name=name, state=state, attempt=attempt, **fields)
    if key:
        made.request.labels["key"] = key
    return made


class Teller:
    """Writes operations into a history at stated times."""

    def __init__(self):
        self.history = History()

    def tell(self, kind, begin, end, outcome="ok", answer=None, **names):
        operation = self.history.begin(kind, **names)
        operation.ended(outcome, answer)
        operation.begin, operation.end = begin, end
        return self


class CheckerTest(unittest.TestCase):
    def objects(self, invariant, check, *arguments):
        with self.assertRaisesRegex(Broken, invariant):
            check(*arguments)

    def order(self, *answers):
        """Answers as (begin, end, job)."""
        teller = Teller()
        for begin, end, answer in answers:
            teller.tell("get", begin, end, answer=answer, job=JOB)
        return teller.history.operations

    def test_lives_that_can_be(self):
        check_order(self.order((0, 1, job(pb.QUEUED, 0)), (2, 3, job(pb.RUNNING, 1)), (4, 5, job(pb.QUEUED, 1)),
                               (6, 7, job(pb.RUNNING, 2)), (8, 9, job(pb.SUCCEEDED, 2)), (10, 11, job(pb.SUCCEEDED, 2))))
        check_order(self.order((0, 5, job(pb.RUNNING, 1)), (1, 2, job(pb.SUCCEEDED, 1))))  # they overlap

    def test_a_job_that_grows_younger(self):
        self.objects("I6", check_order, self.order((0, 1, job(pb.RUNNING, 2)), (2, 3, job(pb.RUNNING, 1))))
        self.objects("I6", check_order, self.order((0, 1, job(pb.RUNNING, 1)), (2, 3, job(pb.QUEUED, 0))))
        self.objects("I6", check_order, self.order((0, 1, job(pb.SUCCEEDED)), (2, 3, job(pb.RUNNING))))

    def test_an_end_that_changes(self):
        self.objects("I5", check_order, self.order((0, 1, job(pb.SUCCEEDED)), (2, 3, job(pb.FAILED))))
        self.objects("I5", check_order, self.order((0, 1, job(pb.SUCCEEDED, sha256="a")), (0, 3, job(pb.SUCCEEDED, sha256="b"))))

    def test_two_jobs_of_a_key(self):
        teller = Teller().tell("create", 0, 1, key="k", answer=job(pb.QUEUED)).tell("create", 2, 3, key="k",
                                                                                    answer=job(pb.QUEUED, name=OTHER))
        self.objects("I4", check_one_job_a_key, teller.history, [])
        unanswered = Teller().tell("create", 0, 1, "unknown", key="k").history
        twice = [Listed(job(pb.SUCCEEDED, key="k")), Listed(job(pb.SUCCEEDED, name=OTHER, key="k"))]
        self.objects("I4", check_one_job_a_key, unanswered, twice)
        check_one_job_a_key(unanswered, twice[:1])

    def test_an_acknowledged_job_that_is_gone_or_never_ends(self):
        history = Teller().tell("create", 0, 1, key="k", answer=job(pb.QUEUED)).history
        self.objects("I1", check_acknowledged, history, [])
        self.objects("I1", check_acknowledged, history, [Listed(job(pb.RUNNING))])
        check_acknowledged(history, [Listed(job(pb.FAILED))])

    def test_absence(self):
        created = Teller().tell("create", 0, 1, key="k", answer=job(pb.QUEUED))
        self.objects("I1", check_absence, created.tell("get", 2, 3, "NOT_FOUND", job=JOB).history)
        deleted = Teller().tell("create", 0, 1, key="k", answer=job(pb.QUEUED)).tell("delete", 4, 5, job=JOB)
        check_absence(deleted.tell("get", 6, 7, "NOT_FOUND", job=JOB).history)
        self.objects("I6", check_absence, deleted.tell("get", 8, 9, answer=job(pb.SUCCEEDED), job=JOB).history)

    def test_events_out_of_order(self):
        def event(attempt, step, **kind):
            return pb.JobEvent(job=JOB, attempt=attempt, sequence=(attempt << 32) + step, **(kind or {"progress": pb.Progress()}))
        end = event(1, 9, succeeded=pb.Succeeded())
        check_events(JOB, [[event(1, 1), event(1, 2), event(2, 0)], [event(1, 2)]])
        self.objects("I3", check_events, JOB, [[event(2, 0), event(1, 3)]])
        self.objects("I3", check_events, JOB, [[event(1, 2), event(1, 2)]])
        self.objects("I3", check_events, JOB, [[pb.JobEvent(job=JOB, attempt=2, sequence=1 << 32, queued=pb.Queued())]])
        self.objects("I3", check_events, JOB, [[event(1, 9)], [end]])
        self.objects("I5", check_events, JOB, [[end, event(1, 10)]])

    def test_bytes_that_are_not_the_video(self):
        class Downloads:
            def __init__(self, data):
                self.data = data

            def download(self, name):
                return self.data
        header = b'{"frames":{}}'
        right = len(header).to_bytes(8, "little") + header + frames("p", 7, 2)
        done = job(pb.SUCCEEDED, sha256=hashlib.sha256(right).hexdigest(), size_bytes=len(right))
        done.request.CopyFrom(pb.GenerateRequest(prompt="p", seed=7, steps=4, frames=9, height=16, width=16,
                                                 output_type=pb.OUTPUT_TYPE_FRAMES))
        check_output(Downloads(right), done, 2)
        self.assertEqual(9 * 16 * 16 * 3, len(payload(right)))
        self.objects("I2", check_output, Downloads(right), done, 4)
        self.objects("I2", check_output, Downloads(right[:-1] + b"x"), done, 2)

    def test_files_that_nobody_owns_or_that_are_missing(self):
        data = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, data)
        os.makedirs(os.path.join(data, "artefacts", "aa"))
        owned = [Listed(job(pb.SUCCEEDED, sha256="aa1"))]
        self.objects("I2", check_files, data, owned, set(), 0.1)
        open(os.path.join(data, "artefacts", "aa", "aa1.mp4"), "w").close()
        check_files(data, owned, set(), 0.1)
        self.objects("I7", check_files, data, [], set(), 0.1)
        check_files(data, [], {"aa1"}, 0.1)
        os.mkdir(os.path.join(data, "tmp"))
        open(os.path.join(data, "tmp", "left"), "w").close()
        self.objects("I7", check_files, data, owned, set(), 0.1)

    def test_counters_that_do_not_add_up(self):
        class Meters:
            def __init__(self, accepted, succeeded):
                self.accepted, self.succeeded = accepted, succeeded

            def metric(self, name, **labels):
                return self.accepted if "accepted" in name else self.succeeded if labels["outcome"] == "SUCCEEDED" else 0
        done = [Listed(job(pb.SUCCEEDED))]
        check_counters(Meters(1, 1), History(), done)
        self.objects("I8", check_counters, Meters(2, 1), History(), done)
        self.objects("I8", check_counters, Meters(2, 2), History(), done)

    def test_a_charge_where_nobody_did_anything(self):
        with tempfile.TemporaryDirectory() as folder:
            class Server:
                log = os.path.join(folder, "log")

            def requeued(charges):
                with open(Server.log, "w") as f:
                    f.write(json.dumps({"time": "2099-01-01T00:00:00Z", "message": "job queued again", "job": JOB, "charges": charges,
                                        "error": "a rank was lost"}) + "\n")
            requeued("0")
            check_uncharged(Server)
            requeued("1")
            self.objects("I9", check_uncharged, Server)


if __name__ == "__main__":
    unittest.main()
