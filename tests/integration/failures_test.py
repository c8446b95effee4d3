"""What happens when somebody is interrupted, killed or goes away."""

import json
import os
import signal
import subprocess
import time
import unittest

from support import ProcessTest, die_with_parent, processes_of, program, wait_until

LONG = ("generate", "--prompt", "a red circle moving up", "--steps", "200", "--json")
CLEAR_ERROR_LIMIT_S = 20


def rank_of(mark, local_rank):
    """The process of a rank."""
    return next(pid for pid, command in processes_of(mark).items() if f"--local-rank {local_rank} " in f"{command} ")


class SelfContainedTest(ProcessTest):
    def start_long_job(self, *more):
        """A client whose job denoises now."""
        client = self.start_cogwheel(*LONG, "-o", "long.mp4", *more)
        self.addCleanup(lambda: client.poll() is None and client.kill())
        for line in client.stdout:
            if json.loads(line).get("progress", {}).get("stage") == "STAGE_DENOISE":
                return client
        self.fail(client.stderr.read())

    def finish(self, client, limit_s=20):
        stdout, stderr = client.communicate(timeout=limit_s)
        return client.returncode, stdout, stderr

    def nothing_stays(self):
        wait_until(lambda: not processes_of(self.mark), 10, "no process is left")
        self.assertEqual(["tmp"], os.listdir(self.folder))
        self.assertEqual([], self.files_left())

    def test_an_interruption_cancels_the_job(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            client = self.start_long_job("--ring", "2")
            client.send_signal(number)
            code, _, stderr = self.finish(client)
            self.assertEqual(5, code, stderr)
            self.assertEqual(1, stderr.count("\n"), stderr)
            self.assertTrue(stderr.startswith("cogwheel: "), stderr)
            self.nothing_stays()

    def test_an_interruption_of_the_whole_terminal_is_the_same(self):
        client = self.start_cogwheel_in_its_own_terminal_group()
        os.killpg(client.pid, signal.SIGINT)
        code, _, stderr = self.finish(client)
        self.assertEqual(5, code, stderr)
        self.assertEqual(1, stderr.count("\n"), stderr)
        self.nothing_stays()

    def start_cogwheel_in_its_own_terminal_group(self):
        client = subprocess.Popen([program("cogwheel"), *LONG, "-o", "long.mp4"], env=self.environment(), cwd=self.folder,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=die_with_parent, start_new_session=True)
        for line in client.stdout:
            if json.loads(line).get("progress", {}).get("stage") == "STAGE_DENOISE":
                return client
        self.fail(client.stderr.read())

    def test_a_second_interruption_leaves_at_once(self):
        client = self.start_long_job()
        client.send_signal(signal.SIGSTOP)  # so that both signals are there when it goes on
        client.send_signal(signal.SIGINT)
        client.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        client.send_signal(signal.SIGCONT)
        code, _, _ = self.finish(client)
        self.assertEqual(5, code)
        self.assertLess(time.monotonic() - begin, 3)
        self.nothing_stays()

    def test_an_interruption_during_the_start(self):
        client = self.start_cogwheel(*LONG, "-o", "long.mp4")
        wait_until(lambda: self.files_left(), 10, "the private folder")
        client.send_signal(signal.SIGINT)
        code, _, stderr = self.finish(client)
        self.assertEqual(5, code, stderr)
        self.nothing_stays()

    def test_a_killed_client_leaves_no_process(self):
        client = self.start_long_job("--ulysses", "2")
        self.assertGreater(len(processes_of(self.mark)), 3)
        client.kill()
        client.communicate()
        wait_until(lambda: not processes_of(self.mark), 10, "no process is left")
        self.assertFalse(os.path.exists(self.path("long.mp4")))

    def test_a_killed_rank_is_replaced_and_the_video_is_the_same(self):
        short = ("generate", "--prompt", "a red circle moving up", "--steps", "30", "--seed", "7", "--ring", "2")
        self.succeeds(*short, "-o", "calm.mp4")
        client = self.start_cogwheel(*short, "--json", "-o", "disturbed.mp4")
        self.addCleanup(lambda: client.poll() is None and client.kill())
        attempt, killed = 0, False
        for line in client.stdout:
            event = json.loads(line)
            attempt = event["attempt"]
            if event.get("progress", {}).get("stage") == "STAGE_DENOISE" and not killed:
                os.kill(rank_of(self.mark, 1), signal.SIGKILL)
                killed = True
        code, _, stderr = self.finish(client, 60)
        self.assertEqual(0, code, stderr)
        self.assertEqual(2, attempt)
        with open(self.path("calm.mp4"), "rb") as calm, open(self.path("disturbed.mp4"), "rb") as disturbed:
            self.assertEqual(calm.read(), disturbed.read())

    def test_a_job_that_loses_three_ranks_fails_and_names_the_log(self):
        client = self.start_long_job("--ring", "2")
        os.kill(rank_of(self.mark, 1), signal.SIGKILL)
        killed_in = 1
        for line in client.stdout:
            event = json.loads(line)
            if event.get("progress", {}).get("stage") == "STAGE_DENOISE" and event["attempt"] > killed_in:
                killed_in = event["attempt"]
                os.kill(rank_of(self.mark, 1), signal.SIGKILL)
        code, _, stderr = self.finish(client, CLEAR_ERROR_LIMIT_S)
        self.assertEqual(3, killed_in)
        self.assertEqual(4, code, stderr)
        lines = [line for line in stderr.splitlines() if line.startswith("cogwheel: ")]
        self.assertEqual(1, len(lines), stderr)
        log = lines[0].rsplit("log: ", 1)[1]
        self.assertTrue(os.path.getsize(log) > 0)
        os.unlink(log)
        self.nothing_stays()

    def test_a_killed_private_server_is_told(self):
        client = self.start_long_job()
        server = next(pid for pid, command in processes_of(self.mark).items() if "cogwheel-server" in command)
        os.kill(server, signal.SIGKILL)
        code, _, stderr = self.finish(client, CLEAR_ERROR_LIMIT_S)
        self.assertEqual(4, code, stderr)
        self.assertEqual(1, stderr.count("cogwheel: "), stderr)
        os.unlink(stderr.rsplit("log: ", 1)[1].strip())
        self.nothing_stays()

    def test_a_reader_that_goes_away_ends_the_job(self):
        client = self.start_long_job()
        client.stdout.close()
        self.assertEqual(2, client.wait(20))
        client.stderr.close()
        self.nothing_stays()


class ServiceTest(ProcessTest):
    def group(self, address):
        return json.loads(self.succeeds("groups", "--server", address, "--json"))["groups"][0]

    def submit(self, address, steps):
        return self.succeeds("submit", "--prompt", "a red circle", "--steps", str(steps), "--server", address).strip()

    def running(self, address, job):
        return json.loads(self.succeeds("get", job, "--server", address, "--json"))["state"] == "RUNNING"

    def test_a_group_that_loses_a_rank_comes_back(self):
        _, _, address = self.start_service(ranks=2, ring=2)
        epoch = int(self.group(address)["epoch"])
        job = self.submit(address, 50)
        wait_until(lambda: self.running(address, job), 30, "running")
        os.kill(rank_of(self.mark, 1), signal.SIGKILL)
        self.succeeds("watch", job, "--server", address, limit_s=120)
        found = json.loads(self.succeeds("get", job, "--server", address, "--json"))
        self.assertEqual(("SUCCEEDED", 2), (found["state"], found["attempt"]))
        self.assertGreater(int(self.group(address)["epoch"]), epoch)
        self.succeeds("watch", self.submit(address, 1), "--server", address)

    def test_a_cancel_frees_the_ranks_of_a_group(self):
        _, _, address = self.start_service(ranks=2, ring=2)
        job = self.submit(address, 200)
        wait_until(lambda: self.running(address, job), 30, "running")
        self.succeeds("cancel", job, "--server", address)
        self.fails(5, "watch", job, "--server", address, limit_s=30)
        self.succeeds("watch", self.submit(address, 1), "--server", address)

    def test_ctrl_c_of_a_remote_generate_cancels_and_frees_the_ranks(self):
        _, _, address = self.start_service()
        client = self.start_cogwheel(*LONG, "--server", address)
        for line in client.stdout:
            if json.loads(line).get("progress", {}).get("stage") == "STAGE_DENOISE":
                break
        client.send_signal(signal.SIGINT)
        client.communicate(timeout=20)
        self.assertEqual(5, client.returncode)
        jobs = self.succeeds("list", "--server", address, "--json").splitlines()
        self.assertEqual("CANCELLED", json.loads(jobs[0])["state"])
        self.succeeds("generate", "--prompt", "x", "--steps", "1", "--server", address, limit_s=30)

    def test_ctrl_c_of_a_watch_leaves_the_job_alone(self):
        _, _, address = self.start_service()
        job = self.submit(address, 20)
        client = self.start_cogwheel("watch", job, "--server", address, "--json")
        client.stdout.readline()
        client.send_signal(signal.SIGINT)
        client.communicate(timeout=20)
        self.assertEqual(5, client.returncode)
        self.succeeds("watch", job, "--server", address)

    def test_a_server_that_goes_away_ends_the_watch(self):
        server, _, address = self.start_service()
        job = self.submit(address, 200)
        client = self.start_cogwheel("watch", job, "--server", address, "--json")
        client.stdout.readline()
        server.process.kill()
        _, stderr = client.communicate(timeout=60)
        self.assertEqual(3, client.returncode, stderr)
        self.assertEqual(1, stderr.count("\n"), stderr)


if __name__ == "__main__":
    unittest.main()
