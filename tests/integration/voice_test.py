"""What the programs say to people: on a terminal in text, in words, once; elsewhere in JSON lines."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
import unittest

from support import SHAPES, ProcessTest, die_with_parent, processes_of, program, wait_until

TIME = r"\d\d:\d\d:\d\d"
INTERNALS = ("type.googleapis", "\\x", "\\n", "UNAVAILABLE", "UNKNOWN", "ipv4", ".cc:", "ErrorInfo")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OnTerminal:
    """A program whose output is a terminal; what it has written so far."""

    def __init__(self, argv, env):
        main, side = pty.openpty()
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=side, stderr=side,
                                        preexec_fn=die_with_parent)
        os.close(side)
        self.main, self.bytes = main, b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        main = self.main
        while select.select([main], [], [], 120)[0]:
            try:
                piece = os.read(main, 4096)
            except OSError:  # the last writer is gone
                return
            if not piece:
                return
            self.bytes += piece

    def lines(self):
        return self.bytes.decode(errors="replace").replace("\r\n", "\n").splitlines()

    def has(self, pattern, limit_s=60):
        return wait_until(lambda: next((line for line in self.lines() if re.search(pattern, line)), None), limit_s,
                          f"{pattern!r} in {self.lines()}")

    def count(self, word):
        return sum(word in line for line in self.lines())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.reader.join(20)
        if self.main >= 0:
            os.close(self.main)
        self.main = -1


class VoiceTest(ProcessTest):
    def on_terminal(self, name, *arguments, **more):
        child = OnTerminal([program(name), *arguments], self.environment(**{"TERM": "xterm", "NO_COLOR": "1", **more}))
        self.addCleanup(child.stop)
        return child

    def server_arguments(self, listen="127.0.0.1:0"):
        return ("--listen", listen, "--admin-listen", "127.0.0.1:0", "--data-dir", self.path("data"))

    def worker_arguments(self, frontend, ranks=2):
        return ("--frontend", frontend, "--model", SHAPES, "--ranks", str(ranks), "--ulysses", str(ranks))

    def assert_plain(self, child):
        text = "\n".join(line for line in child.lines() if not line.startswith('{"ready"'))
        for internal in INTERNALS:
            self.assertNotIn(internal, text)
        for line in text.splitlines():
            self.assertRegex(line, f"^{TIME} ")
            self.assertNotIn("\x1b", line)

    def test_a_service_on_terminals_speaks_text(self):
        server = self.on_terminal("cogwheel-server", *self.server_arguments())
        address = json.loads(server.has('^{"ready"'))["listen"]
        self.assertRegex(server.has("serving on"), f"^{TIME} serving on {address}, metrics and probes on http://127.0.0.1:"
                         rf"\d+; next: cogwheel-worker --frontend {address} --model DIR$")
        worker = self.on_terminal("cogwheel-worker", *self.worker_arguments(address))
        worker.has("2 ranks are ready .group default.; next: cogwheel generate --server")
        self.assertEqual('{"ready":true,"listen":"","admin":""}', worker.has('^{"ready"'))
        for rank in range(2):
            worker.has(rf"^{TIME} rank {rank} of 2: weights loaded, \d+\.\d\d GB in \d+\.\d s$")
        self.assertEqual(2, worker.count("weights loaded"))
        self.assertEqual(0, worker.count("waiting for"))
        server.has(rf"^{TIME} group formed \(group default, ranks 2, model shapes\)$")
        self.succeeds("generate", "--server", address, "--prompt", "a red star", "--frames", "1", "--steps", "1", "-o", "a.mp4")
        for words in (r"job accepted \(jobs/", r"job ended \(jobs/\w+, state succeeded\)"):
            server.has(f"^{TIME} {words}")
        worker.has(rf"^{TIME} job ended \(jobs/\w+\)$")
        self.assertEqual(1, worker.count("job ended"))
        server.process.send_signal(signal.SIGINT)
        worker.has("the stream to the frontend ended: .*reason DRAINING")
        worker.has("waiting for the frontend")
        server.stop()
        self.assertEqual(1, worker.count("DRAINING"))
        for child in (server, worker):
            self.assert_plain(child)

    def test_color_is_a_terminals_and_can_be_refused(self):
        server = self.on_terminal("cogwheel-server", *self.server_arguments(), NO_COLOR="")
        self.assertRegex(server.has("serving on"), "^\x1b\\[2m" + TIME + "\x1b\\[0m serving on")
        server.stop()
        server = self.on_terminal("cogwheel-server", *self.server_arguments(), NO_COLOR="", TERM="dumb")
        self.assertRegex(server.has("serving on"), f"^{TIME} serving on")

    def test_elsewhere_each_line_is_json_unless_asked(self):
        server, address = self.start_server()
        worker = self.start_worker(address)
        self.wait_healthy(address)
        for child in (server, worker):
            messages = [json.loads(line)["message"] for line in child.log_text().splitlines()]
            self.assertIn("serving" if child is server else "weights loaded", messages)
        text, _ = self.start_server("--log-format", "text")
        wait_until(lambda: re.match(f"{TIME} serving on ", text.log_text()), 10, "the line for people")
        asked = self.on_terminal("cogwheel-server", *self.server_arguments(), COGWHEEL_LOG_FORMAT="json")
        self.assertEqual("serving", json.loads(asked.has('^{"time"'))["message"])
        for name in ("cogwheel-server", "cogwheel-worker"):
            refused = subprocess.run([program(name), "--log-format", "jsn", "--model", SHAPES][:5 if "worker" in name else 3],
                                     env=self.environment(), cwd=self.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual((2, f"{name}: --log-format 'jsn' is not legal; legal is auto, json or text; the nearest legal value "
                              "is json\n"), (refused.returncode, refused.stderr))

    def test_a_worker_says_at_once_and_once_that_it_waits(self):
        port = free_port()
        begin = time.monotonic()
        worker = self.on_terminal("cogwheel-worker", *self.worker_arguments(f"127.0.0.1:{port}"))
        self.assertRegex(worker.has("waiting", 30), f"^{TIME} waiting for the frontend at 127.0.0.1:{port}: connection "
                         r"refused; is cogwheel-server running there\?$")
        first = {pid for pid, line in processes_of(self.mark).items() if "--local-rank" in line}
        # Longer than the ranks dial: others have taken their places, and do not say it again.
        wait_until(lambda: (now := {pid for pid, line in processes_of(self.mark).items() if "--local-rank" in line})
                   and not now & first, 60, "the ranks are started again")
        self.assertGreater(time.monotonic() - begin, 15)
        server = self.start_child("cogwheel-server", *self.server_arguments(f"127.0.0.1:{port}"))
        server.ready_line()
        worker.has(f"^{TIME} connected to the frontend at 127.0.0.1:{port}$")
        worker.has("2 ranks are ready")
        self.assertEqual(1, worker.count("waiting"))
        self.assertEqual(1, worker.count("connected"))
        self.assert_plain(worker)

    def test_a_worker_outlives_the_reader_of_its_log(self):
        address = f"127.0.0.1:{free_port()}"
        worker = subprocess.Popen([program("cogwheel-worker"), *self.worker_arguments(address, 1), "--log-format", "text"],
                                  env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.addCleanup(worker.wait, 20)
        self.addCleanup(worker.terminate)
        self.assertTrue(select.select([worker.stderr], [], [], 60)[0])
        self.assertIn(b"waiting for the frontend", worker.stderr.readline())
        worker.stderr.close()
        self.start_child("cogwheel-server", *self.server_arguments(address)).ready_line()
        self.wait_healthy(address)
        self.assertIsNone(worker.poll())

    def test_ranks_are_named_for_what_they_are(self):
        _, address = self.start_server()
        self.start_worker(address, ranks=2, ulysses=2)
        names = {}
        for pid, line in processes_of(self.mark).items():
            if "--local-rank" in line:
                with open(f"/proc/{pid}/comm") as f:
                    names[line.split(" --frontend")[0]] = f.read().strip()
        self.assertEqual({f"cogwheel-worker: rank {k} of 2 (group default)": f"cogwheel-rank{k}" for k in range(2)}, names)

    def test_a_port_that_cannot_be_had(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        with socket.socket() as usual:
            try:
                usual.bind(("127.0.0.1", 9090))
                usual.listen()
            except OSError:
                pass  # somebody else has it, which is as good
            cases = (
                (("--listen", busy, "--admin-listen", "127.0.0.1:0"), f"--listen {busy}: address already in use, perhaps by another "
                 "cogwheel-server; --listen 127.0.0.1:0 takes a free port"),
                (("--listen", "127.0.0.1:0"), "--admin-listen 127.0.0.1:9090 (the default): address already in use, perhaps by "
                 "another cogwheel-server; --admin-listen 127.0.0.1:0 takes a free port"),
                (("--listen", "127.0.0.1:0", "--internal-listen", busy), f"--internal-listen {busy}: address already in use, perhaps "
                 "by another cogwheel-server; --internal-listen 127.0.0.1:0 takes a free port"),
                (("--listen", "192.0.2.1:0", "--internal-listen", "127.0.0.1:0", "--allow-plaintext"), "--listen 192.0.2.1:0: cannot assign requested address: this "
                 "host has no such address; 127.0.0.1 is for this host alone, 0.0.0.0 is all that it has"),
                (("--listen", "no-such.invalid:0", "--internal-listen", "127.0.0.1:0", "--allow-plaintext"),
                 "--listen no-such.invalid:0: the host's name is unknown"),
            )
            for arguments, words in cases:
                run = subprocess.run([program("cogwheel-server"), *arguments, "--data-dir", self.path("none")], timeout=60,
                                     env=self.environment(), capture_output=True, text=True)
                self.assertEqual(3, run.returncode, run.stderr)
                self.assertTrue(run.stderr.startswith(f"cogwheel-server: {words}"), run.stderr)
                self.assertEqual(1, run.stderr.count("\n"), run.stderr)
                self.assertFalse(os.path.exists(self.path("none")))
        run = subprocess.run([program("cogwheel-worker"), *self.worker_arguments("127.0.0.1:1"), "--admin-listen", busy],
                             env=self.environment(), capture_output=True, text=True, timeout=60)
        self.assertEqual((75, f"cogwheel-worker: --admin-listen {busy} (of rank 0 of 2): address already in use, perhaps by another "
                          "cogwheel-worker; --admin-listen 127.0.0.1:0 takes a free port\n"), (run.returncode, run.stderr))

    def test_two_ports_of_one_server_that_are_the_same(self):
        port = free_port()
        run = subprocess.run([program("cogwheel-server"), *self.server_arguments(f"127.0.0.1:{port}"), "--internal-listen",
                              f"localhost:{port}"], env=self.environment(), capture_output=True, text=True, timeout=60)
        self.assertEqual((3, f"cogwheel-server: --internal-listen localhost:{port}: address already in use; --internal-listen "
                          "localhost:0 takes a free port\n"), (run.returncode, run.stderr))

    def test_empty_lists_say_so(self):
        _, address = self.start_server()
        worker = f"start cogwheel-worker --frontend {address} --model DIR"
        for command, words in (("list", "no jobs yet"), ("models", f"no models: no group has joined; {worker}"),
                               ("groups", f"no groups yet; {worker}")):
            said = self.cogwheel(command, "--server", address)
            self.assertEqual((0, "", f"cogwheel: {words}\n"), (said.returncode, said.stdout, said.stderr))
            self.assertEqual("", self.cogwheel(command, "--server", address, "--json").stderr)
        # Ranks may not come where clients do, unless that is this machine alone.
        address = self.start_child("cogwheel-server", *self.server_arguments("0.0.0.0:0"), "--internal-listen", "127.0.0.1:0",
                                   "--allow-plaintext").ready_line()["listen"]
        self.assertEqual("cogwheel: no groups yet; start cogwheel-worker --frontend HOST:PORT --model DIR, with the server's "
                         "--internal-listen as HOST:PORT\n", self.cogwheel("groups", "--server", address).stderr)

    def test_no_server_is_told_without_the_librarys_words(self):
        words = "server 127.0.0.1:1 is not reachable: connection refused; is cogwheel-server running there?"
        for command, more in ((("list",), ""), (("health",), ""),
                              (("generate", "--prompt", "x"), " (without --server everything is started here)")):
            self.assertEqual(words + more, self.fails(3, *command, "--server", "127.0.0.1:1"))


if __name__ == "__main__":
    unittest.main()
