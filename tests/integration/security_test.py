"""Who is let in: certificates, tokens, tenants."""

import hashlib
import json
import os
import re
import subprocess
import unittest
import urllib.request

from support import ROOT, SHAPES, ProcessTest, wait_until

import grpc
from stubs import pb, rpc

RELOAD_LIMIT_S = 30


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate, self.key = self.path("ca.pem"), self.path("ca.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                     "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def path(self, file):
        return os.path.join(self.folder, f"{self.name}-{file}")

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def issue(self, name, days=1):
        """(certificate, key) of a server or client on this host."""
        request, extension = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        certificate, key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        with open(extension, "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                     "-days", str(days), "-extfile", extension, "-out", certificate)
        return certificate, key

    def revoke(self, certificate):
        """A folder with the list of what was revoked, by the name that OpenSSL looks for."""
        folder, settings, crl = self.path("crls"), self.path("ca.cnf"), self.path("crl.pem")
        os.makedirs(folder)
        open(self.path("index"), "w").close()
        with open(settings, "w") as f:
            f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={self.path('index')}\ndefault_md=sha256\ndefault_crl_days=1\n")
        signer = ("-config", settings, "-keyfile", self.key, "-cert", self.certificate)
        self.openssl("ca", *signer, "-revoke", certificate)
        self.openssl("ca", *signer, "-gencrl", "-out", crl)
        name = subprocess.run(["openssl", "crl", "-hash", "-noout", "-in", crl], check=True, capture_output=True, text=True)
        os.rename(crl, os.path.join(folder, name.stdout.strip() + ".r0"))
        return folder


class SecurityTest(ProcessTest):
    def write(self, name, text):
        with open(self.path(name + ".new"), "w") as f:
            f.write(text)
        os.rename(self.path(name + ".new"), self.path(name))
        return self.path(name)

    def rank_keys(self):
        """Flags of a server whose callers need tokens: so do its ranks."""
        return "--internal-listen", "127.0.0.1:0", "--rank-token-file", self.write("rank.token", "the-secret-of-the-ranks\n")

    def health_code(self, address, *more):
        """0 or 3: 3 also when the connection is refused."""
        return self.cogwheel("models", "--server", address, *more).returncode


class TlsTest(SecurityTest):
    def test_only_those_who_trust_the_certificate_are_served(self):
        ours, other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        certificate, key = ours.issue("server")
        _, address = self.start_server("--tls-certificate", certificate, "--tls-key", key)
        self.assertEqual(0, self.health_code(address, "--tls-ca", ours.certificate))
        self.assertEqual(3, self.health_code(address, "--tls-ca", other.certificate))
        self.assertEqual(3, self.health_code(address))

    def test_with_a_client_ca_only_its_clients_are_served_and_ranks_are_clients(self):
        ours, other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        certificate, key = ours.issue("server")
        _, address = self.start_server("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca",
                                       ours.certificate)
        ca = ("--tls-ca", ours.certificate)
        mine, mine_key = ours.issue("client")
        wrong, wrong_key = other.issue("client")
        self.assertEqual(3, self.health_code(address, *ca))
        self.assertEqual(3, self.health_code(address, *ca, "--tls-certificate", wrong, "--tls-key", wrong_key))
        proof = (*ca, "--tls-certificate", mine, "--tls-key", mine_key)
        self.assertEqual(0, self.health_code(address, *proof))
        self.start_worker(address, 1, 1, 1, SHAPES, *proof)
        self.succeeds("generate", "--server", address, *proof, "--prompt", "a red circle", "--steps", "1", "-o", "a.mp4")

    def test_expired_and_revoked_clients_are_sent_away(self):
        ours = Authority(self.folder, "ours")
        certificate, key = ours.issue("server")
        good, revoked, expired = ours.issue("good"), ours.issue("revoked"), ours.issue("expired", days=-1)
        _, address = self.start_server("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca",
                                       ours.certificate, "--tls-client-crls", ours.revoke(revoked[0]))
        for (client, client_key), code in ((good, 0), (revoked, 3), (expired, 3)):
            self.assertEqual(code, self.health_code(address, "--tls-ca", ours.certificate, "--tls-certificate", client,
                                                    "--tls-key", client_key), client)

    def test_an_expired_server_is_not_trusted(self):
        ours = Authority(self.folder, "ours")
        certificate, key = ours.issue("server", days=-1)
        _, address = self.start_server("--tls-certificate", certificate, "--tls-key", key)
        self.assertEqual(3, self.health_code(address, "--tls-ca", ours.certificate))

    def test_a_renewed_certificate_is_used_without_a_restart(self):
        ours, other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        certificate, key = ours.issue("server")
        _, address = self.start_server("--tls-certificate", certificate, "--tls-key", key)
        renewed, renewed_key = other.issue("server")
        os.rename(renewed_key, key)
        os.rename(renewed, certificate)
        wait_until(lambda: self.health_code(address, "--tls-ca", other.certificate) == 0, RELOAD_LIMIT_S, "the new one")
        self.assertEqual(3, self.health_code(address, "--tls-ca", ours.certificate))

    def test_files_that_do_not_fit_are_refused_by_name(self):
        ours, other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        certificate, key = ours.issue("server")
        _, other_key = other.issue("server")
        for flags, text in [(("--tls-certificate", certificate), "--tls-key"),
                            (("--tls-certificate", certificate, "--tls-key", other_key), "is not that of"),
                            (("--tls-certificate", self.path("none"), "--tls-key", key), "holds no PEM certificate"),
                            (("--listen", "0.0.0.0:0", "--internal-listen", "127.0.0.1:0"), "--allow-plaintext"),
                            (("--listen", ""), "--listen '' is not legal"),
                            (("--listen", "0.0.0.0"), "--listen '0.0.0.0' is not legal"),
                            (("--access-file", self.path("none"), *self.rank_keys()), "none: it cannot be read"),
                            # Whoever joins as a rank is handed all tenants' jobs.
                            (("--access-file", self.path("none")), "--internal-listen is required with --access-file"),
                            (("--access-file", self.path("none"), "--internal-listen", "127.0.0.1:0"), "give --rank-token-file"),
                            (("--access-file", self.path("none"), "--internal-listen", "127.0.0.1:0", "--internal-tls-ca",
                              ours.certificate), "--internal-tls-certificate")]:
            self.assertRefused(flags, text)

    def assertRefused(self, flags, text):
        listen = () if "--listen" in flags else ("--listen", "127.0.0.1:0")
        server = self.start_child("cogwheel-server", *listen, "--admin-listen", "127.0.0.1:0", "--data-dir",
                                  self.path("refused"), *flags)
        self.assertEqual(2, server.process.wait(20), flags)
        self.assertIn(text, server.log_text())


class TokenTest(SecurityTest):
    """Two tenants, and a rank's secret."""

    def policy(self, *tokens):
        return json.dumps({"tenants": [{"name": "a"}, {"name": "b"}], "tokens": [
            {"sha256": hashlib.sha256(token.encode()).hexdigest(), "tenant": tenant, "roles": roles}
            for token, tenant, roles in tokens]})

    ALL = ["submit", "read", "operate"]

    def start_guarded(self):
        self.access = self.write("access.json", self.policy(("secret-of-tenant-a", "a", self.ALL),
                                                            ("secret-of-tenant-b", "b", self.ALL),
                                                            ("secret-of-a-reader", "b", ["read"])))
        keys = self.rank_keys()
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir",
                                  self.path("data"), "--access-file", self.access, *keys)
        ready = server.ready_line()
        address, self.admin = ready["listen"], ready["admin"]
        self.start_worker(address, 1, 1, 1, SHAPES, *keys[2:])
        wait_until(lambda: self.cogwheel("health", "--server", address).returncode == 0, 60, "healthy")
        return address

    def calls(self, address):
        """Every RPC of the service by name, as calls that end: (request class, call)."""
        channel = grpc.insecure_channel(address)
        self.addCleanup(channel.close)
        stub = rpc.VideoServiceStub(channel)
        service = pb.DESCRIPTOR.services_by_name["VideoService"]

        def ended(method, described):
            def call(request, token):
                metadata = [("authorization", f"bearer {token}")] if token else []
                try:
                    sent = iter([request]) if described.client_streaming else request
                    answer = method(sent, metadata=metadata, timeout=60)
                    return grpc.StatusCode.OK, list(answer) if described.server_streaming else answer
                except grpc.RpcError as error:
                    return error.code(), error.details()
            return call

        return {m.name: (getattr(pb, m.input_type.name), ended(getattr(stub, m.name), m))
                for m in service.methods}

    def test_every_rpc_asks_for_a_token_and_keeps_tenants_apart(self):
        address = self.start_guarded()
        calls = self.calls(address)
        a, b, reader = "secret-of-tenant-a", "secret-of-tenant-b", "secret-of-a-reader"
        for name, (request, call) in calls.items():
            for token in ("", "wrong-secret", a + "x"):
                self.assertEqual(grpc.StatusCode.UNAUTHENTICATED, call(request(), token)[0], (name, token))
        request = pb.GenerateRequest(prompt="a red circle", steps=1, request_id="one key")
        code, events = calls["Generate"][1](request, a)
        self.assertEqual(grpc.StatusCode.OK, code)
        job = events[0].job
        self.assertEqual("a", calls["GetJob"][1](pb.GetJobRequest(name=job), a)[1].tenant)
        # Whatever takes a job's name: b learns nothing of a's job, not even that it is.
        by_name = [n for n, (request, _) in calls.items() if "name" in request.DESCRIPTOR.fields_by_name and n != "GetGroup"]
        self.assertEqual({"GetJob", "CancelJob", "DeleteJob", "WatchJob", "DownloadVideo"}, set(by_name))
        for name in by_name:
            request_type, call = calls[name]
            mine, none = call(request_type(name=job), b), call(request_type(name="jobs/" + "0" * 26), b)
            self.assertEqual(grpc.StatusCode.NOT_FOUND, mine[0], name)
            self.assertEqual(mine[1].replace(job, ""), none[1].replace("jobs/" + "0" * 26, ""), name)
        self.assertEqual(0, len(calls["ListJobs"][1](pb.ListJobsRequest(), b)[1].jobs))
        self.assertEqual([job], [j.name for j in calls["ListJobs"][1](pb.ListJobsRequest(), a)[1].jobs])
        # A key is a tenant's own.
        code, others = calls["Generate"][1](request, b)
        self.assertEqual(grpc.StatusCode.OK, code)
        self.assertNotEqual(job, others[0].job)
        for name in ("CreateJob", "Generate", "CancelJob", "DeleteJob", "UploadInput", "ListGroups", "GetGroup"):
            self.assertEqual(grpc.StatusCode.PERMISSION_DENIED, calls[name][1](calls[name][0](), reader)[0], name)
        self.assertEqual(grpc.StatusCode.OK, calls["ListJobs"][1](pb.ListJobsRequest(), reader)[0])
        # Who lets go of a job cancels it.
        watch, others = calls["WatchJob"][1], others[0].job
        self.assertEqual(grpc.StatusCode.OK, watch(pb.WatchJobRequest(name=others), reader)[0])
        self.assertEqual(grpc.StatusCode.PERMISSION_DENIED, watch(pb.WatchJobRequest(name=others, hold=True), reader)[0])
        self.assertEqual(grpc.StatusCode.OK, watch(pb.WatchJobRequest(name=others, hold=True), b)[0])

    def test_no_http_route_tells_of_a_job(self):
        calls = self.calls(self.start_guarded())
        token, secrets = "secret-of-tenant-a", ["a red circle on its way", "the key of a", "a label of a"]
        request = pb.GenerateRequest(prompt=secrets[0], steps=200, request_id=secrets[1], labels={"note": secrets[2]})
        job = calls["CreateJob"][1](pb.CreateJobRequest(request=request), token)[1].name
        secrets += [job.removeprefix("jobs/"), token, hashlib.sha256(token.encode()).hexdigest()]
        running = lambda: calls["GetJob"][1](pb.GetJobRequest(name=job), token)[1].state == pb.RUNNING
        wait_until(running, 60, "the job runs")
        with open(os.path.join(ROOT, "base/admin_server.cc")) as f:  # whose routes these are: a new one is not forgotten
            routes = re.findall(r'\.Add\("([^"]+)"', f.read())
        self.assertLessEqual({"/metrics", "/livez", "/readyz", "/statusz"}, set(routes))
        for route in routes:
            with urllib.request.urlopen(f"http://{self.admin}{route}", timeout=10) as answer:
                text = answer.read().decode()
            for secret in secrets:
                self.assertNotIn(secret, text, route)
        self.assertTrue(running(), "the job ended too early to show")
        calls["CancelJob"][1](pb.CancelJobRequest(name=job), token)

    def test_a_revoked_token_ends_without_a_restart(self):
        address = self.start_guarded()
        token = self.write("token", "secret-of-tenant-a\n")
        self.assertEqual(0, self.health_code(address, "--token-file", token))
        self.write("access.json", self.policy(("secret-of-tenant-b", "b", self.ALL)))
        wait_until(lambda: self.health_code(address, "--token-file", token) == 2, RELOAD_LIMIT_S, "revoked")
        self.assertEqual(0, self.cogwheel("models", "--server", address,
                                          COGWHEEL_TOKEN_FILE=self.write("other", "secret-of-tenant-b")).returncode)

    def test_a_tenant_that_floods_is_refused_and_another_is_served(self):
        self.access = self.write("access.json", self.policy(("secret-of-tenant-a", "a", self.ALL),
                                                            ("secret-of-tenant-b", "b", self.ALL)))
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir",
                                  self.path("data"), "--access-file", self.access, *self.rank_keys(), "--max-calls-per-second", "1",
                                  "--max-call-burst", "20")
        ready = server.ready_line()
        calls = self.calls(ready["listen"])
        request, call = calls["ListModels"]
        codes = [call(request(), "secret-of-tenant-a")[0] for _ in range(100)]
        self.assertEqual([grpc.StatusCode.OK] * 20, codes[:20])
        self.assertGreaterEqual(codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED), 60)
        self.assertEqual(grpc.StatusCode.OK, call(request(), "secret-of-tenant-b")[0])
        # Whoever guesses tokens is one caller, as the host that they call from.
        guesses = [call(request(), f"guess-{i}")[0] for i in range(100)]
        self.assertEqual([grpc.StatusCode.UNAUTHENTICATED] * 20, guesses[:20])
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, guesses[-1])
        self.assertEqual(grpc.StatusCode.OK, call(request(), "secret-of-tenant-b")[0])
        for method in calls:
            if method != "ListModels":
                self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, calls[method][1](calls[method][0](), "no token")[0], method)
        # Probes are not counted.
        for _ in range(30):
            self.assertEqual(3, self.health(ready["listen"]))
        with urllib.request.urlopen(f"http://{ready['admin']}/metrics", timeout=10) as metrics:
            text = metrics.read().decode()
        for tenant in ("a", "other"):
            self.assertRegex(text, r'cogwheel_api_calls_throttled_total{tenant="%s"} [1-9]' % tenant)
        self.assertNotIn('throttled_total{tenant="b"}', text)

    def health(self, address):
        """The exit code of `cogwheel health`."""
        return self.cogwheel("health", "--server", address).returncode

    def test_a_rank_without_the_secret_is_sent_away_for_good(self):
        secret = self.write("rank.token", "the-secret-of-the-ranks\n")
        _, address = self.start_server("--rank-token-file", secret)
        for flags in ((), ("--rank-token-file", self.write("wrong.token", "another-long-secret"))):
            worker = self.start_child("cogwheel-worker", "--frontend", address, "--model", SHAPES, *flags)
            self.assertEqual(2, worker.process.wait(60))
            self.assertIn("RANK_CREDENTIALS", worker.log_text())


if __name__ == "__main__":
    unittest.main()
