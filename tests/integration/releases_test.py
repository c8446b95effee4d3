"""This release with the one before, whose programs stand in COGWHEEL_OLD_BIN: each release's frontend with the other's
ranks, and with the other's data. Skipped without them; not part of scripts/test."""

import json
import os
import unittest

import support
from support import SHAPES, Child, ProcessTest, wait_until

NEW, OLD = support.BIN, os.environ.get("COGWHEEL_OLD_BIN")
REFUSED = 2  # a worker's exit code


@unittest.skipUnless(OLD, "COGWHEEL_OLD_BIN names no folder with the release before")
class ReleasesTest(ProcessTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, support, "BIN", NEW)

    def start_server_of(self, folder):
        support.BIN = os.path.abspath(folder)
        return self.start_server()

    def start_worker_of(self, folder, address, *more):
        """One that may still wait for others."""
        support.BIN = os.path.abspath(folder)
        return self.start_child("cogwheel-worker", "--frontend", address, "--model", SHAPES, *more)

    def digest(self, server, worker):
        """Of the video of one job, run to its end by that release's frontend and that one's ranks."""
        _, address = self.start_server_of(server)
        self.start_worker_of(worker, address, "--ranks", "2", "--ulysses", "2").ready_line()
        support.BIN = NEW
        self.wait_healthy(address)
        job = self.succeeds("submit", "--prompt", "a red circle moving to the right", "--frames", "9", "--height", "64",
                            "--width", "64", "--steps", "4", "--seed", "7", "--server", address).strip()
        self.succeeds("watch", job, "--server", address)
        ended = json.loads(self.succeeds("get", job, "--server", address, "--json"))
        self.assertEqual(("SUCCEEDED", 1), (ended["state"], ended["attempt"]))
        return ended["sha256"]

    def test_each_releases_frontend_works_with_the_others_ranks(self):
        expected = self.digest(NEW, NEW)
        self.assertEqual(64, len(expected))
        self.assertEqual(expected, self.digest(OLD, NEW), "old frontend, new ranks")
        self.assertEqual(expected, self.digest(NEW, OLD), "new frontend, old ranks")

    def start_on(self, folder, data):
        """That release's frontend on a data directory."""
        support.BIN = os.path.abspath(folder)
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data)
        address = server.ready_line()["listen"]
        support.BIN = NEW
        return server, address

    def submit(self, address, key):
        return self.succeeds("submit", "--prompt", "a red circle", "--frames", "1", "--steps", "1", "--seed", "7", "--request-id",
                             key, "--server", address).strip()

    def test_each_release_opens_the_others_data(self):
        data = self.path("data")
        old, address = self.start_on(OLD, data)
        worker = self.start_worker_of(OLD, address, "--ranks", "1")
        worker.ready_line()
        self.wait_healthy(address)
        finished = self.submit(address, "finished")
        self.succeeds("watch", finished, "--server", address)
        worker.stop()
        queued = self.submit(address, "queued")
        old.stop()
        new, address = self.start_on(NEW, data)
        self.assertEqual(1, len([name for name in os.listdir(data) if name.startswith("cogwheel.sqlite.before-")]))
        self.assertEqual((finished, queued), (self.submit(address, "finished"), self.submit(address, "queued")))
        self.succeeds("download", finished, "-o", self.path("kept.mp4"), "--server", address)
        self.succeeds("delete", finished, "--server", address)
        self.assertIn("which has been removed", self.fails(2, "submit", "--prompt", "a red circle", "--frames", "1", "--steps", "1",
                                                           "--seed", "7", "--request-id", "finished", "--server", address))
        ours = self.submit(address, "ours")
        new.stop()
        old, address = self.start_on(OLD, data)
        self.assertEqual((queued, ours), (self.submit(address, "queued"), self.submit(address, "ours")))
        again = self.submit(address, "finished")  # it knows nothing of keys without a job
        self.succeeds("cancel", again, "--server", address)
        self.succeeds("delete", again, "--server", address)
        old.stop()
        _, address = self.start_on(NEW, data)
        self.assertEqual("QUEUED", json.loads(self.succeeds("get", ours, "--server", address, "--json"))["state"])

    @unittest.skipIf(os.geteuid(), "needs root, to give a rank a host's name of its own")
    def test_a_group_of_both_releases_is_refused_by_what_differs(self):
        for server, reason in ((NEW, "has protocol"), (OLD, "has model description")):
            for first, second in ((OLD, NEW), (NEW, OLD)):
                with self.subTest(server=server, first=first):
                    log, address = self.start_server_of(server)
                    mesh = ("--ulysses", "2", "--ranks", "1", "--peer-host", "localhost")
                    self.start_worker_of(first, address, *mesh)
                    wait_until(lambda: self.ranks(address) == 1, 30, "the first waits")
                    support.BIN = os.path.abspath(second)
                    late = self.start_on_another_host("cogwheel-worker", "--frontend", address, "--model", SHAPES, *mesh)
                    self.assertEqual(REFUSED, late.process.wait(60))
                    self.assertIn(reason, log.log_text())

    def start_on_another_host(self, name, *arguments):
        argv = ["unshare", "--uts", "sh", "-c", 'hostname other && exec "$@"', "sh", support.program(name), *arguments]
        child = Child(argv, self.environment(), self.path("other.log"))
        self.addCleanup(child.stop)
        return child

    def ranks(self, address):
        support.BIN = NEW
        listed = json.loads(self.succeeds("groups", "--server", address, "--json"))
        return sum(len(group.get("ranks", [])) for group in listed.get("groups", []))


if __name__ == "__main__":
    unittest.main()
