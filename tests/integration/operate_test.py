"""What operators may do: each command on real programs, what is left of it after a restart, who may, and what the audit log says."""

import datetime
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
import unittest

from support import SHAPES, SMALL, ProcessTest, program, wait_until

import grpc

WIDER = ("--frames", "1", "--height", "64", "--width", "128", "--steps", "1")  # a result of its own
LONG = ("--frames", "9", "--height", "64", "--width", "64", "--steps", "150")
TOKENS = {"operator": ("ops", ["submit", "read", "operate"]), "caller": ("lab", ["submit", "read"])}


def secret(name):
    return f"the secret of {name}"


def digest(name):
    return hashlib.sha256(secret(name).encode()).hexdigest()


def until(lines, words):
    """Up to the one that holds the words."""
    for line in lines:
        yield line
        if words in line:
            return


class OperateTest(ProcessTest):
    def setUp(self):
        super().setUp()
        self.data, self.backups, self.audit = self.path("data"), self.path("backups"), self.path("audit.jsonl")
        policy = {"tenants": [{"name": "ops"}, {"name": "lab"}],
                  "tokens": [{"sha256": digest(name), "tenant": tenant, "roles": roles}
                             for name, (tenant, roles) in TOKENS.items()]}
        for name in (*TOKENS, "ranks"):
            with open(self.path(name), "w") as f:
                f.write(secret(name))
        with open(self.path("access.json"), "w") as f:
            json.dump(policy, f)
        self.server, self.address, self.internal = None, "127.0.0.1:0", "127.0.0.2:0"
        self.start()

    def start(self, *more):
        """The server, on the address that it had before."""
        if self.server is not None:
            self.assertEqual(0, self.server.stop())
        self.server = self.start_child("cogwheel-server", "--listen", self.address, "--admin-listen", "127.0.0.1:0",
                                       "--internal-listen", self.internal, "--data-dir", self.data,
                                       "--access-file", self.path("access.json"), "--rank-token-file", self.path("ranks"),
                                       "--audit-file", self.audit, "--backup-dir", self.backups, *more)
        ready = self.server.ready_line()
        self.address, self.internal = ready["listen"], ready["internal"]

    def start_ranks(self):
        worker = self.start_worker(self.internal, 1, 1, 1, SHAPES, "--rank-token-file", self.path("ranks"))
        wait_until(lambda: self.on("groups", "--json", check=False).stdout.count('"ready":true'), 60, "a group")
        return worker

    def on(self, *command, token="operator", check=True):
        result = self.cogwheel(*command, "--server", self.address, "--token-file", self.path(token))
        if check:
            self.assertEqual(0, result.returncode, f"{command}: {result.stderr}")
        return result

    def refused(self, word, *command, token="operator", code=2):
        result = self.on(*command, token=token, check=False)
        self.assertEqual(code, result.returncode, f"{command}: {result.stderr}")
        self.assertIn(word, result.stderr)

    def submit(self, *flags, token="caller"):
        return self.on("submit", "--prompt", "a red circle", *flags, token=token).stdout.strip()

    def job(self, name, token="caller"):
        return json.loads(self.on("get", name, "--json", token=token).stdout)

    def wait_for(self, state, name, token="caller"):
        return wait_until(lambda: (job := self.job(name, token))["state"] == state and job, 60, f"{name} is {state}")

    def wait_unhealthy(self):
        wait_until(lambda: self.on("health", check=False).returncode == 3, 10, "no job would start")

    def wait_for_reason(self, name, reason):
        """Until a watcher is told so."""
        with self.start_cogwheel("watch", name, "--json", "--server", self.address, "--token-file", self.path("caller")) as watch:
            limit = threading.Timer(30, watch.kill)
            limit.start()
            told = [event.get("queued", {}).get("waiting_for") for event in map(json.loads, until(watch.stdout, reason))]
            limit.cancel()
            watch.kill()
        self.assertEqual(reason, told[-1] if told else None)

    def audited(self):
        with open(self.audit) as f:
            return [json.loads(line) for line in f]

    def test_a_drained_group_gets_no_job_also_after_a_restart(self):
        self.start_ranks()
        self.assertEqual("group default gets no more jobs\n", self.on("drain", "default").stdout)
        self.assertIn("default  ready, drained", self.on("groups").stdout)
        self.wait_unhealthy()
        name = self.submit(*SMALL)
        self.wait_for_reason(name, "an operator has drained default, and no other group can run it")
        self.start()
        wait_until(lambda: "default  ready, drained" in self.on("groups", check=False).stdout, 60, "the ranks are back")
        self.assertEqual("QUEUED", self.job(name)["state"])
        self.on("resume", "default")
        self.wait_for("SUCCEEDED", name)
        self.assertNotIn("drained", self.on("groups").stdout)

    def test_a_paused_tenant_or_model_waits_and_is_told_why(self):
        self.start_ranks()
        self.on("pause", "--tenant", "lab", "--reason", "unpaid")
        name = self.submit(*SMALL)
        self.wait_for_reason(name, "tenant lab is paused: unpaid")
        other = self.submit(*SMALL, token="operator")
        self.wait_for("SUCCEEDED", other, "operator")  # another tenant's
        self.start()
        wait_until(lambda: "ready" in self.on("groups", check=False).stdout, 60, "the ranks are back")
        self.wait_for_reason(name, "tenant lab is paused: unpaid")
        self.on("pause", "--model", "shapes")
        self.on("unpause", "--tenant", "lab")
        self.wait_for_reason(name, "model shapes is paused")
        self.wait_unhealthy()
        self.on("unpause", "--model", "shapes")
        self.wait_for("SUCCEEDED", name)

    def test_a_job_is_requeued_uncharged_and_one_is_failed(self):
        self.start_ranks()
        name = self.submit(*LONG)
        self.wait_for("RUNNING", name)
        self.on("requeue", name)
        again = wait_until(lambda: (job := self.job(name))["attempt"] == 2 and job["state"] == "RUNNING" and job, 30, "it runs again")
        self.assertEqual("RUNNING", again["state"])
        self.assertEqual(f"{name} running\n", self.on("fail", name, "--reason", "it hangs").stdout)
        ended = self.wait_for("FAILED", name)
        self.assertEqual(("OPERATOR", "it hangs"), (ended["error"]["reason"], ended["error"]["message"]))
        self.refused("legal is RUNNING", "requeue", name)
        self.refused("legal is QUEUED or RUNNING", "fail", name, "--reason", "again")
        self.refused("is no job of this server", "requeue", "jobs/01hzzzzzzzzzzzzzzzzzzzzzzz")
        self.on("pause", "--tenant", "lab")
        waits = self.submit(*SMALL)
        self.assertEqual(f"{waits} failed\n", self.on("fail", waits, "--reason", "unwanted").stdout)

    def test_a_retired_model_is_no_default_any_more(self):
        worker = self.start_ranks()
        self.refused("is served by a group", "retire", "shapes")
        self.assertEqual(0, worker.stop())
        waits = self.submit(*SMALL)
        self.refused("wait or run", "retire", "shapes")
        self.on("cancel", waits, token="caller")
        wait_until(lambda: self.on("retire", "shapes", check=False).returncode == 0, 15, "no rank is left")
        self.assertEqual("", self.on("models").stdout)
        self.refused("no group", "submit", "--prompt", "a red circle", token="caller", code=3)
        self.start()
        self.assertEqual("", self.on("models").stdout)
        self.start_ranks()
        self.assertIn("shapes (ready)", self.on("models").stdout)

    def test_a_purge_takes_one_tenants_old_jobs_with_their_results(self):
        self.start_ranks()
        mine, other = self.submit(*SMALL), self.submit(*WIDER, token="operator")
        self.wait_for("SUCCEEDED", mine)
        self.wait_for("SUCCEEDED", other, "operator")
        self.assertIn("0 jobs removed", self.on("purge", "--tenant", "lab", "--before", "1h").stdout)
        size = int(self.job(mine)["size_bytes"])
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        purged = json.loads(self.on("purge", "--tenant", "lab", "--before", now, "--json").stdout)
        self.assertEqual({"jobs": "1", "result_bytes": str(size)}, purged)
        self.refused("is no job of this server", "get", mine, token="caller")
        self.assertEqual("SUCCEEDED", self.job(other, "operator")["state"])
        files = [name for _, _, names in os.walk(os.path.join(self.data, "artefacts")) for name in names]
        self.assertEqual(1, len(files))
        self.refused("in the future", "purge", "--tenant", "lab", "--before", "2100-01-01")

    def test_usage_is_what_the_groups_did_for_each_tenant(self):
        self.start_ranks()
        self.assertEqual([], json.loads(self.on("usage", "--json").stdout)["usage"])
        name = self.submit(*SMALL)
        job = self.wait_for("SUCCEEDED", name)
        self.on("pause", "--tenant", "lab")
        self.on("cancel", self.submit(*SMALL), token="caller")
        self.start()
        used, = json.loads(self.on("usage", "--tenant", "lab", "--json").stdout)["usage"]
        self.assertGreater(used.pop("gpu_seconds"), 0)
        self.assertEqual({"tenant": "lab", "model": "shapes", "succeeded": "1", "failed": "0", "cancelled": "1",
                          "result_bytes": job["size_bytes"]}, used)
        self.assertRegex(self.on("usage").stdout, r"^TENANT  MODEL +GPU SECONDS .*\nlab     shapes  \d+\.\d +1 +0 +1 +\d+\n$")
        self.assertEqual([], json.loads(self.on("usage", "--tenant", "ops", "--json").stdout)["usage"])
        self.assertEqual([], json.loads(self.on("usage", "--from", "10d", "--to", "9d", "--json").stdout)["usage"])
        self.refused("lies behind to", "usage", "--from", "1h", "--to", "2h")

    def check(self, folder):
        result = subprocess.run([program("cogwheel-server"), "--check", "--data-dir", folder], env=self.environment(),
                                capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout

    def test_a_backup_under_load_is_a_store_that_another_server_opens(self):
        self.start_ranks()
        done = self.submit(*SMALL)
        self.wait_for("SUCCEEDED", done)
        stop, names = threading.Event(), []

        def load():
            while not stop.is_set():
                names.append(self.submit(*SMALL))

        caller = threading.Thread(target=load)
        caller.start()
        try:
            wait_until(lambda: len(names) >= 3, 60, "some load")
            begun = len(names)
            made = json.loads(self.on("backup", "one", "--json").stdout)
            code, said = self.check(self.data)
            self.assertEqual(0, code, said)  # beside the server that uses it
        finally:
            stop.set()
            caller.join()
        copy = os.path.join(self.backups, "one")
        self.assertEqual("one", made["name"])
        self.assertEqual(["cogwheel.sqlite"], os.listdir(copy))
        self.assertEqual(int(made["size_bytes"]), os.path.getsize(os.path.join(copy, "cogwheel.sqlite")))
        self.assertEqual(0, self.check(copy)[0])
        self.refused("already a backup", "backup", "one")
        self.refused("legal are 1 to 64", "backup", "../elsewhere")
        self.assertRegex(self.on("backup").stdout, r"^\d{8}-\d{6}  \d+ bytes\n$")
        second = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", copy)
        listed = self.cogwheel("list", "--json", "--server", second.ready_line()["listen"])
        self.assertEqual(0, listed.returncode, listed.stderr)
        self.assertEqual("", listed.stdout)  # tenant default has none
        self.assertEqual(0, second.stop())
        database = subprocess.run(["python3", "-c", "import sqlite3, sys; print(*[row[0] for row in "
                                   "sqlite3.connect(sys.argv[1]).execute('SELECT name FROM jobs')])",
                                   os.path.join(copy, "cogwheel.sqlite")], capture_output=True, text=True).stdout.split()
        self.assertTrue({done, *names[:begun]} <= set(database), "what was acknowledged before is in it")

    def test_a_check_names_what_is_wrong(self):
        self.start_ranks()
        name = self.submit(*SMALL)
        self.wait_for("SUCCEEDED", name)
        self.assertEqual(0, self.server.stop())
        self.assertEqual(0, self.check(self.data)[0])
        shutil.rmtree(os.path.join(self.data, "artefacts", os.listdir(os.path.join(self.data, "artefacts"))[0]))
        code, said = self.check(self.data)
        self.assertEqual(2, code)
        self.assertRegex(said, f"fault   results: {name}: artefacts/.*is missing; copy it back, or delete the job")
        code, said = self.check(self.path("nowhere"))
        self.assertEqual(2, code)
        self.assertIn("does not exist", said)

    def test_a_log_level_holds_until_the_next_start(self):
        self.assertEqual("log level error, before it info\n", self.on("log-level", "error").stdout)
        self.refused("legal is info, warning or error", "log-level", "loud")
        self.start("--log-level", "warning")
        self.assertEqual("log level info, before it warning\n", self.on("log-level", "info").stdout)
        self.assertNotIn('"level":"info","message":"serving"', self.server.log_text())

    def test_every_call_is_audited_with_who_and_what(self):
        self.refused("needs role operate", "drain", "default", token="caller")
        self.refused("needs role operate", "purge", "--tenant", "ops", "--before", "1h", token="caller")
        self.on("pause", "--tenant", "lab", "--reason", "unpaid")
        self.refused("is no model", "retire", "nothing")
        lines = self.audited()
        self.assertEqual([("", "DrainGroup", "PERMISSION_DENIED"), ("", "Purge", "PERMISSION_DENIED"),
                          ("ops", "Pause", "OK"), ("ops", "RetireModel", "NOT_FOUND")],
                         [(line["tenant"], line["method"], line["code"]) for line in lines])
        self.assertEqual([digest(name)[:8] for name in ("caller", "caller", "operator", "operator")], [line["token"] for line in lines])
        self.assertEqual({"tenant": "lab", "reason": "unpaid"}, lines[2]["request"])
        self.assertTrue(all("127.0.0.1" in line["host"] for line in lines))
        os.rename(self.audit, self.path("audit.1"))
        self.on("unpause", "--tenant", "lab")
        self.assertEqual(["Unpause"], [line["method"] for line in self.audited()])
        with open(self.audit) as f:
            self.assertNotIn(secret("operator"), f.read())


    def test_whoever_proves_nothing_cannot_fill_the_audit_log(self):
        with grpc.insecure_channel(self.address) as channel:
            purge = channel.unary_unary("/cogwheel.v1.OperateService/Purge")
            begin = time.monotonic()
            calls = [purge.future(b"", timeout=60) for _ in range(300)]
            self.assertEqual({grpc.StatusCode.UNAUTHENTICATED}, {call.code() for call in calls} - {grpc.StatusCode.RESOURCE_EXHAUSTED})
            most = 60 + 1 + time.monotonic() - begin  # a second each once the burst is spent
        self.on("unpause", "--tenant", "lab")
        lines = self.audited()
        self.assertEqual("Unpause", lines.pop()["method"])
        self.assertTrue(1 <= len(lines) <= most, len(lines))


class OpenServerTest(ProcessTest):
    def test_what_cannot_be_undone_is_refused_where_callers_prove_nothing(self):
        server, address = self.start_server("--backup-dir", self.path("backups"))
        self.assertIn("needs a server with an --access-file", self.fails(2, "backup", "--server", address))
        self.assertIn("--access-file", self.fails(2, "purge", "--tenant", "default", "--before", "1h", "--server", address))
        self.succeeds("drain", "default", "--server", address)
        self.succeeds("log-level", "error", "--server", address)
        self.succeeds("resume", "default", "--server", address)
        self.assertIn("ResumeGroup", server.log_text())  # a line of the log, whatever its level

    def test_an_audit_file_that_cannot_be_written_stops_the_start(self):
        result = subprocess.run([program("cogwheel-server"), "--data-dir", self.path("data"), "--audit-file", self.folder],
                                env=self.environment(), capture_output=True, text=True, timeout=30)
        self.assertEqual(2, result.returncode)
        self.assertIn("--audit-file", result.stderr)


if __name__ == "__main__":
    unittest.main()
