"""A frontend with two ranks under load, and a Prometheus that scrapes them each second."""

import json
import os
import socket
import sys
import threading
import urllib.parse
import urllib.request

from tools import DEPLOY, PROMETHEUS, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
import support


def fetch(url, limit_s=10):
    with urllib.request.urlopen(url, timeout=limit_s) as answer:
        return answer.read().decode()


def free_ports(count):
    """The first of so many neighbouring ports that nobody listens on now."""
    for base in range(21000 + os.getpid() % 5000, 32000, count):
        try:
            for port in range(base, base + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise AssertionError("no free ports")


class LiveTest(support.ProcessTest):
    """Sets up frontend, ranks (serving metrics where this build's ranks do) and Prometheus."""

    def start_everything(self):
        server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                                  "--data-dir", self.path("data"))
        ready = server.ready_line()
        self.address, self.frontend_admin = ready["listen"], ready["admin"]
        base = free_ports(2)
        self.start_worker(self.address, 2, 1, 2, support.SHAPES, "--admin-listen", f"127.0.0.1:{base}",
                          "--device-peak-teraflops", "0.1")
        self.wait_healthy(self.address)
        self.rank_admins = [a for a in (f"127.0.0.1:{base + k}" for k in range(2)) if self.serves_metrics(a)]
        self.start_prometheus()

    def serves_metrics(self, address):
        try:
            return "cogwheel_" in fetch(f"http://{address}/metrics", 2)
        except OSError:
            return False

    def start_prometheus(self):
        rules = [os.path.join(DEPLOY, "prometheus", name) for name in ("recording.yaml", "alerts.yaml")]
        jobs = [{"job_name": name, "static_configs": [{"targets": targets, "labels": {"namespace": "test"}}]}
                for name, targets in (("cogwheel-frontend", [self.frontend_admin]), ("cogwheel-worker", self.rank_admins))]
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": rules, "scrape_configs": jobs}
        with open(self.path("prometheus.json"), "w") as f:
            json.dump(config, f)  # JSON is YAML
        log = self.path("prometheus.log")
        address = f"127.0.0.1:{free_ports(1)}"
        child = support.Child([PROMETHEUS, f"--config.file={self.path('prometheus.json')}", "--log.format=json",
                               f"--storage.tsdb.path={self.path('tsdb')}", f"--web.listen-address={address}"],
                              self.environment(), log)
        self.addCleanup(child.stop)
        self.prometheus = f"http://{address}"
        support.wait_until(self.prometheus_ready, 30, "Prometheus is ready")

    def prometheus_ready(self):
        try:
            return "Ready" in fetch(self.prometheus + "/-/ready", 2)
        except OSError:
            return False

    def query(self, expression):
        """The series of an instant query."""
        url = f"{self.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        return json.loads(fetch(url))["data"]["result"]

    def load(self, jobs):
        """Jobs one after the other and a refused one, in a thread that the test joins."""
        def work():
            for k in range(jobs):
                self.succeeds("generate", "--server", self.address, "--prompt", f"a red circle, {k}", *support.SMALL[:-1], "4",
                              "-o", self.path(f"{k}.mp4"))
                self.fails(2, "submit", "--server", self.address, "--prompt", "x", "--frames", "1",
                           "--height", "2048", "--width", "2048")  # more than this model takes: the server says so
        thread = threading.Thread(target=work)
        thread.start()
        return thread
