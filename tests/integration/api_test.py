"""The public API from another language: events, resuming, idempotency, and what its errors carry."""

import hashlib
import json
import os
import sys
import unittest

from support import ProcessTest, wait_until

import grpc
import media
import stubs
from google.protobuf import duration_pb2
from stubs import pb

PROMPT = "a green triangle moving down"
SMALL = {"prompt": PROMPT, "frames": 1, "height": 64, "width": 64, "steps": 1}


class ApiTest(ProcessTest):
    @classmethod
    def setUpClass(cls):
        cls.service = ServiceForClass()
        cls.address = cls.service.start()

    @classmethod
    def tearDownClass(cls):
        cls.service.doCleanups()

    def setUp(self):
        super().setUp()
        channel, self.stub = stubs.connect(self.address)
        self.addCleanup(channel.close)

    def create(self, **fields):
        request = pb.GenerateRequest(**{**SMALL, **fields})
        return self.stub.CreateJob(pb.CreateJobRequest(request=request), timeout=30)

    def refused(self, code, call, *arguments):
        with self.assertRaises(grpc.RpcError) as caught:
            result = call(*arguments, timeout=30)
            if hasattr(result, "__iter__"):
                list(result)
        self.assertEqual(code, caught.exception.code(), caught.exception.details())
        self.assertEqual("cogwheel", stubs.details(caught.exception)["ErrorInfo"].domain)
        self.assertRegex(stubs.details(caught.exception)["ErrorInfo"].reason, "^[A-Z][A-Z_]+$")
        return caught.exception

    def watch(self, job, after=0, video=False):
        request = pb.WatchJobRequest(name=job, after_sequence=after, include_video=video)
        return list(self.stub.WatchJob(request, timeout=60))

    def test_generate_streams_progress_previews_and_the_video(self):
        events = list(self.stub.Generate(pb.GenerateRequest(prompt=PROMPT, seed=1), timeout=120))
        kinds = [event.WhichOneof("event") for event in events]
        self.assertEqual("succeeded", kinds[-1])
        self.assertLess(kinds.index("started"), kinds.index("progress"))
        sequences = [event.sequence for event in events]
        self.assertEqual(sorted(set(sequences)), sequences)
        self.assertEqual({True}, {(event.sequence >= 2**32) == (event.attempt == 1) for event in events})
        self.assertEqual(1, events[-1].attempt)
        data = b"".join(event.chunk.data for event in events if event.HasField("chunk"))
        self.assertEqual(hashlib.sha256(data).hexdigest(), events[-1].succeeded.sha256)
        self.assertEqual(17, media.Mp4(data).samples)
        self.assertLess(kinds.index("chunk"), len(kinds) - 2, "pieces come while it is decoded")
        previews = [event.preview.jpeg for event in events if event.HasField("preview")]
        self.assertTrue(all(jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9") for jpeg in previews))
        steps = [e.progress.step for e in events if e.progress.stage == pb.STAGE_DENOISE]
        self.assertEqual(sorted(steps), steps)
        self.assertEqual(10, steps[-1])
        left = [e.progress.time_left.ToMilliseconds() for e in events if e.progress.HasField("time_left")]
        self.assertTrue(left and all(0 <= ms < 120_000 for ms in left))

    def test_a_watch_is_resumed_at_any_event(self):
        job = self.create(steps=3).name
        events = self.watch(job)
        self.assertEqual("succeeded", events[-1].WhichOneof("event"))
        for event in events[:-1]:
            rest = [e for e in self.watch(job, event.sequence) if not e.HasField("snapshot")]
            later = [e.sequence for e in events if e.sequence > event.sequence]
            self.assertEqual(later, [e.sequence for e in rest])
        self.assertEqual([], self.watch(job, events[-1].sequence), "nothing follows the end")

    def test_a_download_is_resumed_at_any_byte(self):
        job = self.create(output_type=pb.OUTPUT_TYPE_FRAMES, frames=17, height=96, width=128)
        self.watch(job.name)
        job = self.stub.GetJob(pb.GetJobRequest(name=job.name))
        chunks = list(self.stub.DownloadVideo(pb.DownloadVideoRequest(name=job.name), timeout=30))
        data = b"".join(chunk.data for chunk in chunks)
        self.assertEqual((job.size_bytes, job.sha256), (len(data), hashlib.sha256(data).hexdigest()))
        self.assertEqual(job.media_type, chunks[0].media_type)
        self.assertEqual([False] * (len(chunks) - 1) + [True], [chunk.last for chunk in chunks])
        self.assertEqual(job.sha256, chunks[-1].sha256)
        self.assertLessEqual(max(len(chunk.data) for chunk in chunks), 256 * 1024)
        for offset in (1, 256 * 1024 - 1, 256 * 1024, len(data) - 1, len(data)):
            rest = list(self.stub.DownloadVideo(pb.DownloadVideoRequest(name=job.name, offset=offset), timeout=30))
            self.assertEqual(offset, rest[0].offset)
            self.assertEqual(data[offset:], b"".join(chunk.data for chunk in rest))
            self.assertEqual(job.sha256, rest[-1].sha256, "of the whole result")
        for offset, code in ((len(data) + 1, grpc.StatusCode.OUT_OF_RANGE), (-1, grpc.StatusCode.INVALID_ARGUMENT)):
            request = pb.DownloadVideoRequest(name=job.name, offset=offset)
            with self.assertRaises(grpc.RpcError) as caught:
                list(self.stub.DownloadVideo(request, timeout=30))
            self.assertEqual(code, caught.exception.code())

    def test_request_ids_are_idempotent(self):
        first = self.create(request_id="same", seed=4)
        self.assertEqual(first.name, self.create(request_id="same", seed=4).name)
        self.refused(grpc.StatusCode.ALREADY_EXISTS, self.stub.CreateJob, pb.CreateJobRequest(
            request=pb.GenerateRequest(**SMALL, request_id="same", seed=5)))
        events = list(self.stub.Generate(pb.GenerateRequest(**SMALL, request_id="same", seed=4), timeout=60))
        self.assertEqual({first.name}, {event.job for event in events}, "Generate attaches")
        self.assertEqual("succeeded", events[-1].WhichOneof("event"))

    def test_a_caller_that_goes_away_cancels_unless_detached(self):
        for detach, state in ((False, pb.CANCELLED), (True, pb.SUCCEEDED)):
            request = pb.GenerateRequest(prompt=PROMPT, steps=20, detach=detach)
            stream = self.stub.Generate(request, timeout=60)
            job = next(stream).job
            stream.cancel()
            get = pb.GetJobRequest(name=job)
            wait_until(lambda: self.stub.GetJob(get).state >= pb.SUCCEEDED, 60, job)
            self.assertEqual(state, self.stub.GetJob(get).state)

    def test_a_bad_request_names_field_value_and_nearest(self):
        cases = {
            "height": (dict(height=478), "478", "96"),
            "width": (dict(width=0), "0", "16"),
            "frames": (dict(frames=16), "16", "17"),
            "steps": (dict(steps=201), "201", "200"),
            "guidance_scale": (dict(guidance_scale=50.5), "50.5", "50"),
            "fps": (dict(fps=0), "0", "1"),
            "priority": (dict(priority=10), "10", "9"),
            "max_sequence_length": (dict(max_sequence_length=33), "33", "32"),
            "prompt": (dict(prompt="x" * 16385), "16385", "16384"),
            "negative_prompt": (dict(negative_prompt="x" * 16385), "16385", "16384"),
            "deadline": (dict(deadline=duration_pb2.Duration(seconds=-1)), "-1", ""),
            "scheduler": (dict(scheduler=17), "17", ""),
            "output_type": (dict(output_type=9), "9", ""),
            "image": (dict(image=b"no picture"), "", ""),
            "request_id": (dict(request_id="x" * 129), "129", "128"),
            "labels": (dict(labels={f"k{i}": "v" for i in range(17)}), "17", "16"),
        }
        for field, (values, value, nearest) in cases.items():
            with self.subTest(field):
                request = pb.GenerateRequest(**{"prompt": PROMPT, **values})
                for call, message in ((self.stub.Generate, request), (self.stub.CreateJob, pb.CreateJobRequest(request=request))):
                    error = self.refused(grpc.StatusCode.INVALID_ARGUMENT, call, message)
                    violations = stubs.details(error)["BadRequest"].field_violations
                    self.assertIn(field, [violation.field for violation in violations])
                    text = next(v.description for v in violations if v.field == field)
                    self.assertIn(value, text)
                    self.assertIn(nearest, text)

    def test_all_violations_come_together(self):
        request = pb.GenerateRequest(prompt=PROMPT, height=100, width=100, frames=10)
        error = self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.stub.Generate, request)
        fields = {violation.field for violation in stubs.details(error)["BadRequest"].field_violations}
        self.assertEqual({"height", "width", "frames"}, fields)

    def test_names_that_are_no_jobs(self):
        for call, request in ((self.stub.GetJob, pb.GetJobRequest), (self.stub.CancelJob, pb.CancelJobRequest),
                              (self.stub.DeleteJob, pb.DeleteJobRequest), (self.stub.WatchJob, pb.WatchJobRequest),
                              (self.stub.DownloadVideo, pb.DownloadVideoRequest)):
            self.refused(grpc.StatusCode.NOT_FOUND, call, request(name="jobs/" + "0" * 26))
            self.refused(grpc.StatusCode.INVALID_ARGUMENT, call, request(name="jobs/../../etc/passwd"))
        self.refused(grpc.StatusCode.NOT_FOUND, self.stub.GetGroup, pb.GetGroupRequest(name="nobody"))

    def test_a_model_that_no_group_offered_is_unavailable(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.create(model="nobody")
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, caught.exception.code())
        self.assertIn("nobody", caught.exception.details())

    def test_the_accepted_request_has_its_defaults(self):
        job = self.stub.CreateJob(pb.CreateJobRequest(request=pb.GenerateRequest(prompt=PROMPT, steps=1)), timeout=30)
        request = self.stub.GetJob(pb.GetJobRequest(name=job.name)).request
        self.assertTrue(request.HasField("seed"))
        self.assertLess(request.seed, 2**32)
        self.assertEqual((17, 96, 128, 8, 3.0, pb.SCHEDULER_DDIM, 32, 4, "shapes"),
                         (request.frames, request.height, request.width, request.fps, request.guidance_scale,
                          request.scheduler, request.max_sequence_length, request.priority, request.model))

    def test_messages_that_are_too_large_are_refused(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.create(image=b"x" * (18 * 1024 * 1024))
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, caught.exception.code())

    def test_json_of_the_client_is_protobuf_json(self):
        from google.protobuf import json_format
        job = self.create()
        self.watch(job.name)
        text = self.succeeds("get", job.name, "--json", "--server", self.address)
        parsed = json_format.Parse(text, pb.Job())
        self.assertEqual(self.stub.GetJob(pb.GetJobRequest(name=job.name)), parsed)
        self.assertIn("size_bytes", json.loads(text))


class ServiceForClass(ProcessTest):
    """One service for a whole class."""

    def runTest(self):
        pass

    def start(self):
        self.setUp()
        # Who goes away is gone at once: the shipped model would end its job within the usual grace.
        _, address = self.start_server("--holder-grace-seconds", "0")
        self.start_worker(address)
        self.wait_healthy(address)
        return address


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "ApiTest", *sys.argv[1:]] if len(sys.argv) == 1 else sys.argv)
