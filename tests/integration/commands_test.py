"""Every command of the client against one running server."""

import json
import os
import re
import subprocess
import unittest

import media
from support import SMALL, ProcessTest, program, wait_until

JOB = re.compile(r"^jobs/[0-9a-hjkmnp-tv-z]{26}$")


class CommandsTest(ProcessTest):
    def setUp(self):
        super().setUp()
        _, _, self.address = self.start_service()

    def on(self, *arguments):
        return self.succeeds(*arguments, "--server", self.address)

    def submit(self, *more, size=SMALL):
        return self.on("submit", "--prompt", "a blue square", *size, *more).strip()

    def state(self, job):
        return json.loads(self.on("get", job, "--json"))["state"]

    def wait_for(self, job, state):
        wait_until(lambda: self.state(job) == state, 60, f"{job} {state}")

    def test_a_jobs_life(self):
        job = self.submit("--seed", "5", "--request-id", "once")
        self.assertRegex(job, JOB)
        self.assertEqual(job, self.submit("--seed", "5", "--request-id", "once"), "idempotent")
        self.assertIn("request_id", self.fails(2, "submit", "--prompt", "another", "--request-id", "once", "--server",
                                               self.address))
        watched = self.on("watch", job)
        self.assertEqual(f"{job} succeeded\n", watched)
        self.assertEqual("", self.cogwheel("watch", job, "--server", self.address).stderr)
        shown = json.loads(self.on("get", job.removeprefix("jobs/"), "--json"))
        self.assertEqual("SUCCEEDED", shown["state"])
        self.assertEqual(("5", 1, 1, 8), tuple(shown["request"][key] for key in ("seed", "steps", "frames", "fps")))
        self.assertEqual(1, shown["attempt"])
        self.assertEqual("video/mp4", shown["media_type"])
        self.assertNotIn("image", {k for k, v in shown["request"].items() if v})
        self.on("download", job, "-o", "d.mp4")
        self.assertEqual(int(shown["size_bytes"]), os.path.getsize(self.path("d.mp4")))
        with open(self.path("d.mp4"), "rb") as f:
            self.assertEqual(1, media.Mp4(f.read()).samples)
        self.assertIn(job, self.on("delete", job))
        self.assertIn("jobs/", self.fails(2, "get", job, "--server", self.address))
        self.fails(2, "download", job, "-o", "gone.mp4", "--server", self.address)
        self.assertFalse(os.path.exists(self.path("gone.mp4")))

    def test_text_for_people(self):
        job = self.submit()
        self.on("watch", job)
        text = self.on("get", job)
        for part in (job, "succeeded", "just now", "a blue square", "1 frames of 64x64"):
            self.assertIn(part, text)
        header, row = self.on("list").splitlines()
        self.assertEqual(["JOB", "STATE", "CREATED", "PROGRESS", "PROMPT"], header.split())
        self.assertRegex(row, rf"^{job}  succeeded  .* (now|ago) .*  a blue square$")
        self.assertIn("shapes (ready)", self.on("models"))
        self.assertIn("mesh 1 rank  epoch 1\n  RANK  STATE  HOST", self.on("groups"))
        self.assertEqual("serving\n", self.on("health"))

    def test_json(self):
        models = json.loads(self.on("models", "--json"))["models"]
        self.assertEqual("shapes", models[0]["name"])
        self.assertEqual(8, models[0]["limits"]["frames_multiple"])
        self.assertIs(False, models[0]["limits"]["image_required"])
        groups = json.loads(self.on("groups", "--json"))["groups"]
        self.assertEqual({"cfg": 1, "ring": 1, "ulysses": 1}, groups[0]["mesh"])
        self.assertEqual("RANK_READY", groups[0]["ranks"][0]["state"])
        self.assertIsInstance(groups[0]["epoch"], str)
        self.assertEqual({"status": "SERVING"}, json.loads(self.on("health", "--json")))

    def test_list_follows_pages_newest_first(self):
        blocker = self.submit("--steps", "200", size=())  # holds the rank: all others stay queued
        self.wait_for(blocker, "RUNNING")
        jobs = [blocker] + [self.submit("--seed", str(seed)) for seed in range(2)]
        many = [self.submit("--seed", "9", "--request-id", f"r{i}") for i in range(55)]
        self.assertEqual(len(set(many)), 55)
        listed = [json.loads(line)["name"] for line in self.on("list", "--json").splitlines()]
        self.assertEqual(list(reversed(jobs + many)), listed)
        for limit, shown, hint in ((None, 20, "the 20 newest"), ("3", 3, "the 3 newest"), ("0", 58, ""), ("58", 58, "")):
            result = self.cogwheel("list", "--server", self.address, *(("--limit", limit) if limit else ()))
            self.assertEqual(listed[:shown], [line.split()[0] for line in result.stdout.splitlines()[1:]])
            self.assertTrue(result.stderr.startswith(f"cogwheel: {hint}") if hint else not result.stderr, result.stderr)
        self.assertIn("  queued  ", self.on("list"))
        self.assertEqual(listed[:2], [json.loads(line)["name"] for line in self.on("list", "--limit", "2", "--json").splitlines()])
        for job in reversed(many):
            self.on("cancel", job)
        cancelled = self.on("list", "--state", "cancelled", "--json").splitlines()
        self.assertEqual(55, len(cancelled))
        self.assertEqual({"CANCELLED"}, {json.loads(line)["state"] for line in cancelled})
        self.on("cancel", blocker)

    def test_output_that_cannot_be_written(self):
        for command in (("models",), ("submit", "--prompt", "a red circle", *SMALL), ("list",), ("--version",)):
            with open("/dev/full", "w") as full:
                result = subprocess.run([program("cogwheel"), *command], stdout=full, stderr=subprocess.PIPE, text=True,
                                        env=self.environment(COGWHEEL_SERVER=self.address), timeout=60)
            self.assertEqual((2, "cogwheel: standard output cannot be written\n"), (result.returncode, result.stderr), command)

    def test_cancel(self):
        running = self.submit("--steps", "200", size=())
        queued = self.submit("--seed", "2")
        self.wait_for(running, "RUNNING")
        self.assertIn("not", self.fails(2, "delete", running, "--server", self.address))
        self.assertIn("not", self.fails(2, "download", running, "--server", self.address))
        self.on("cancel", queued)
        self.wait_for(queued, "CANCELLED")
        self.on("cancel", running)
        self.wait_for(running, "CANCELLED")
        self.assertIn("cancelled", self.fails(5, "watch", running, "--server", self.address))
        self.assertIn("cancelled", self.on("get", running))
        self.on("watch", self.submit("--seed", "3"))

    def test_deadline_and_priority(self):
        first = self.submit("--steps", "10", size=())
        expired = self.submit("--seed", "1", "--deadline", "0.2")
        low = self.submit("--seed", "2", "--priority", "0")
        high = self.submit("--seed", "3", "--priority", "9")
        self.assertIn("expired", self.fails(4, "watch", expired, "--server", self.address))
        self.on("watch", low)
        times = {job: json.loads(self.on("get", job, "--json"))["start_time"] for job in (first, low, high)}
        self.assertLess(times[first], times[high])
        self.assertLess(times[high], times[low])

    def test_generate_on_a_server(self):
        stdout = self.on("generate", "--prompt", "a red star", *SMALL, "--seed", "3", "--model", "shapes")
        self.assertRegex(stdout, r"^video\.mp4  seed 3  ")
        self.on("download", json.loads(self.on("list", "--json").splitlines()[0])["name"], "-o", "same.mp4")
        with open(self.path("video.mp4"), "rb") as first, open(self.path("same.mp4"), "rb") as second:
            self.assertEqual(first.read(), second.read())
        self.assertIn("other", self.fails(3, "generate", "--prompt", "x", "--model", "other", "--server", self.address))

    def test_the_environment_names_the_server(self):
        self.assertEqual("serving\n", self.succeeds("health", COGWHEEL_SERVER=self.address))


class WithoutServerTest(ProcessTest):
    def test_not_reachable(self):
        for command in (("health",), ("models",), ("list",), ("get", "0" * 26), ("generate", "--prompt", "x")):
            self.assertIn("127.0.0.1:1", self.fails(3, *command, "--server", "127.0.0.1:1"))

    def test_a_server_without_ranks_is_not_healthy(self):
        _, address = self.start_server()
        self.assertIn("not serving", self.fails(3, "health", "--server", address))
        self.fails(3, "generate", "--prompt", "x", "--server", address)
        self.assertEqual({"models": []}, json.loads(self.succeeds("models", "--server", address, "--json")))


if __name__ == "__main__":
    unittest.main()
