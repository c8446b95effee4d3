"""`--json` of every command is true protobuf JSON: each line is read by protobuf's own parser, unknown fields refused."""

import json
import unittest

from support import SHAPES, SMALL, ProcessTest

import stubs
from google.protobuf import json_format
from stubs import health_pb, pb

FOUR_STEPS = ("--frames", "9", "--height", "64", "--width", "64", "--steps", "4")


class JsonTest(ProcessTest):
    def lines(self, message, *arguments, **more):
        """What the command prints, each line read as that message."""
        text = self.succeeds(*arguments, "--json", **more)
        self.assertTrue(text.endswith("\n"), text)
        return [json_format.Parse(line, message()) for line in text.splitlines()]

    def check_events(self, events, raw):
        """raw: of the lines, as plain JSON."""
        kinds = [event.WhichOneof("event") for event in events]
        for kind in ("queued", "started", "progress", "preview", "succeeded"):
            self.assertIn(kind, kinds)
        fractions = [event.progress.fraction for event in events if event.HasField("progress")]
        self.assertEqual(sorted(fractions), fractions, "never falls")
        self.assertGreater(fractions[-1], 0.5)
        self.assertLess(fractions[-1], 1)
        for line in raw:
            self.assertNotIn("data", line.get("chunk", {}))

    def raw(self, text):
        return [json.loads(line) for line in text.splitlines()]

    def test_every_command_of_a_server(self):
        _, _, address = self.start_service()
        on = ("--server", address)
        job, = self.lines(pb.Job, "submit", "--prompt", "a blue \u25a0 square", *SMALL, *on)
        self.assertRegex(job.name, "^jobs/")
        watched = self.lines(pb.JobEvent, "watch", job.name, *on)
        self.assertTrue(watched[-1].HasField("succeeded") or watched[-1].HasField("snapshot"))
        got, = self.lines(pb.Job, "get", job.name, *on)
        self.assertEqual("a blue \u25a0 square", got.request.prompt)
        self.lines(pb.Job, "submit", "--prompt", "another", *SMALL, *on)
        self.assertEqual(2, len(self.lines(pb.Job, "list", *on)))
        model, = self.lines(pb.ListModelsResponse, "models", *on)
        self.assertEqual("shapes", model.models[0].name)
        groups, = self.lines(pb.ListGroupsResponse, "groups", *on)
        self.assertTrue(groups.groups[0].ready)
        health, = self.lines(health_pb.HealthCheckResponse, "health", *on)
        self.assertEqual(health_pb.HealthCheckResponse.SERVING, health.status)
        result, = self.lines(pb.Succeeded, "download", job.name, "-o", "d.mp4", *on)
        self.assertEqual(got.sha256, result.sha256)
        cancelled, = self.lines(pb.Job, "cancel", job.name, *on)
        self.assertEqual(pb.SUCCEEDED, cancelled.state, "it had ended")
        self.lines(pb.DeleteJobResponse, "delete", job.name, *on)
        text = self.succeeds("generate", "--prompt", "a", *FOUR_STEPS, "--json", "-o", "g.mp4", *on)
        self.check_events([json_format.Parse(line, pb.JobEvent()) for line in text.splitlines()], self.raw(text))

    def test_a_run_of_its_own_with_and_without_previews(self):
        text = self.succeeds("generate", "--prompt", "a", *FOUR_STEPS, "--json", "-o", "a.mp4")
        self.check_events([json_format.Parse(line, pb.JobEvent()) for line in text.splitlines()], self.raw(text))
        for line in self.raw(text):
            self.assertNotIn("jpeg", line.get("preview", {}))
        events = self.lines(pb.JobEvent, "generate", "--prompt", "a", *FOUR_STEPS, "--previews", "-o", "b.mp4")
        pictures = [event.preview.jpeg for event in events if event.HasField("preview")]
        self.assertGreaterEqual(len(pictures), 4)
        for jpeg in pictures:
            self.assertEqual((b"\xff\xd8", b"\xff\xd9"), (jpeg[:2], jpeg[-2:]))

    def test_doctor_prints_one_document(self):
        document = json.loads(self.succeeds("doctor", "--model", SHAPES, "--json"))
        self.assertIsInstance(document, dict)


if __name__ == "__main__":
    unittest.main()
