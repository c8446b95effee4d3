"""Groups of real ranks: several under one frontend, leaving on a signal, and what a rank shows of itself."""

import json
import signal
import socket
import time
import unittest
import urllib.error
import urllib.request

from support import SHAPES, ProcessTest, wait_until

LEAVE_LIMIT_S = 10


def two_free_ports():
    """The first of two neighbours that were free a moment ago."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def http(address, path):
    """(status, text)"""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class GroupsTest(ProcessTest):
    def groups(self, address):
        listed = json.loads(self.succeeds("groups", "--server", address, "--json"))
        return {group["name"]: group for group in listed.get("groups", [])}

    def submit(self, address, steps, *more):
        return self.succeeds("submit", "--prompt", "a red circle", "--frames", "9", "--height", "64", "--width", "64",
                             "--steps", str(steps), "--server", address, *more).strip()

    def job(self, address, name):
        return json.loads(self.succeeds("get", name, "--server", address, "--json"))

    def start_long_job(self, address, steps):
        """A job whose ranks are at their steps: one that was only offered to them is handed back at once."""
        job = self.submit(address, steps)
        wait_until(lambda: self.job(address, job)["state"] == "RUNNING", 30, "running")
        time.sleep(1)
        return job

    def test_each_group_has_its_mesh_and_its_model(self):
        _, address = self.start_server()
        self.start_worker(address, 2, 2, 1, SHAPES, "--group", "first")
        self.start_worker(address, 2, 1, 2, SHAPES, "--group", "second", "--model-name", "other")
        wait_until(lambda: len(self.groups(address)) == 2, 10, "two groups")
        meshes = {name: (group["mesh"]["ring"], group["mesh"]["ulysses"]) for name, group in self.groups(address).items()}
        self.assertEqual({"first": (2, 1), "second": (1, 2)}, meshes)
        for model, group in (("shapes", "first"), ("other", "second")):
            job = self.submit(address, 2, "--model", model)
            self.succeeds("watch", job, "--server", address)
            self.assertEqual(group, self.job(address, job)["group"])

    def test_a_worker_that_is_asked_to_leave_finishes_its_job(self):
        _, worker, address = self.start_service(ranks=2, ring=2)
        job = self.start_long_job(address, 150)
        worker.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, worker.process.wait(60))
        ended = self.job(address, job)
        self.assertEqual(("SUCCEEDED", 1), (ended["state"], ended["attempt"]))
        self.fails(3, "health", "--server", address)

    def test_a_second_signal_hands_the_job_back(self):
        _, worker, address = self.start_service(ranks=2, ring=2)
        job = self.start_long_job(address, 200)
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        begin = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, worker.process.wait(LEAVE_LIMIT_S))
        self.assertLess(time.monotonic() - begin, LEAVE_LIMIT_S)
        wait_until(lambda: self.job(address, job)["state"] == "QUEUED", 5, "queued again")
        self.start_worker(address, 2, 2)
        wait_until(lambda: self.job(address, job)["attempt"] == 2, 30, "it runs again")
        self.succeeds("cancel", job, "--server", address)

    def test_a_job_beyond_the_workers_grace_is_handed_back(self):
        _, address = self.start_server()
        worker = self.start_worker(address, 2, 2, 1, SHAPES, "--shutdown-grace-seconds", "1")
        self.wait_healthy(address)
        job = self.start_long_job(address, 200)
        worker.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, worker.process.wait(1 + LEAVE_LIMIT_S))
        wait_until(lambda: self.job(address, job)["state"] == "QUEUED", 5, "queued again")
        self.assertIn("handed the job back", self.job(address, job)["error"]["message"])
        self.succeeds("cancel", job, "--server", address)

    def test_a_rank_shows_itself(self):
        port = two_free_ports()
        _, address = self.start_server()
        worker = self.start_worker(address, 2, 2, 1, SHAPES, "--admin-listen", f"127.0.0.1:{port}")
        self.wait_healthy(address)
        job = self.submit(address, 3)
        self.succeeds("watch", job, "--server", address)
        for rank in range(2):
            admin = f"127.0.0.1:{port + rank}"
            self.assertEqual(200, http(admin, "/readyz")[0])
            self.assertEqual(rank, json.loads(http(admin, "/statusz")[1])["rank"])
            metrics = http(admin, "/metrics")[1]
            labels = f'{{group="default",model="shapes",rank="{rank}"}}'
            self.assertIn(f"cogwheel_pipeline_steps_total{labels} 3\n", metrics)
            self.assertRegex(metrics, r'parallel_collective_bytes_total\{group="default",op="ring",rank="\d"\} [1-9]')
        ended = [line for line in map(json.loads, worker.log_text().splitlines()) if line["message"] == "job ended"]
        self.assertEqual({"0", "1"}, {line["rank"] for line in ended})
        for line in ended:
            self.assertEqual(("default", job), (line["group"], line["job"]))
            self.assertGreater(int(line["epoch"]), 0)


if __name__ == "__main__":
    unittest.main()
