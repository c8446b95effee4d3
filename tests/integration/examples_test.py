"""The clients of examples/, by the commands of its README, against a guarded server with the shipped model; and through a
connection that breaks. What they are built with is of scripts/setup --tests."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import unittest

from support import CACHE, ROOT, SHAPES, ProcessTest, die_with_parent

import media

TOOLS = os.environ.get("COGWHEEL_EXAMPLE_TOOLS") or os.path.join(CACHE, "example-tools")
TOKEN = "secret-of-the-examples"
COMMAND_LIMIT_S = 400


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def blocks(section):
    """The sh blocks below a heading of examples/README.md, without what scripts/example-tools has installed."""
    parts = re.split(r"^## ", read("examples/README.md"), flags=re.MULTILINE)
    [found] = [part for part in parts if part.startswith(section + "\n")]
    return re.findall(r"^```sh\n(.*?)^```", re.sub(r"^go install .*\n", "", found, flags=re.MULTILINE), re.DOTALL | re.MULTILINE)


class BreakingConnection:
    """Forwards to a server. Its first `cuts` connections end once `limit` bytes have come back on them."""

    def __init__(self, target, cuts, limit):
        self.target, self.cuts_left, self.limit = target, cuts, limit
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            host, port = self.target.rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            with self.lock:
                limit, self.cuts_left = (self.limit if self.cuts_left else None), max(0, self.cuts_left - 1)
            for source, sink, most in ((client, server, None), (server, client, limit)):
                threading.Thread(target=self.forward, args=(source, sink, most), daemon=True).start()

    @staticmethod
    def forward(source, sink, most):
        passed = 0
        try:
            while most is None or passed < most:
                data = source.recv(4096 if most is None else min(4096, most - passed))
                if not data:
                    break
                sink.sendall(data)
                passed += len(data)
        except OSError:
            pass  # the other direction has ended both
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self):
        self.listener.close()


class ExamplesTest(ProcessTest):
    def setUp(self):
        super().setUp()
        for part in ("examples", "proto"):
            shutil.copytree(os.path.join(ROOT, part), self.path(part), ignore=shutil.ignore_patterns(
                ".venv", "node_modules", "cogwheelv1", "*.mp4", "*.jpg"))

    def start_guarded(self):
        access = self.path("access.json")
        with open(access, "w") as f:
            json.dump({"tenants": [{"name": "examples"}], "tokens": [
                {"sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "tenant": "examples",
                 "roles": ["submit", "read", "operate"]}]}, f)
        keys = "--rank-token-file", self.path("rank.token")
        with open(keys[1], "w") as f:
            f.write("the-secret-of-the-ranks\n")
        _, self.address = self.start_server("--access-file", access, "--internal-listen", "127.0.0.1:0", *keys)
        self.start_worker(self.address, 1, 1, 1, SHAPES, *keys)
        self.wait_healthy(self.address)

    def tool_environment(self, address, token):
        config = self.path("config")
        os.makedirs(os.path.join(config, "go", "telemetry"), exist_ok=True)
        with open(os.path.join(config, "go", "telemetry", "mode"), "w") as f:
            f.write("off")  # it would leave a process
        environment = self.environment(
            PATH=os.path.join(TOOLS, "bin") + os.pathsep + os.environ["PATH"], XDG_CONFIG_HOME=config, GOTOOLCHAIN="local", CGO_ENABLED="0",
            GOPATH=os.path.join(TOOLS, "gopath"), GOCACHE=os.path.join(TOOLS, "gocache"), GOFLAGS="-modcacherw",
            npm_config_cache=os.path.join(TOOLS, "npm"), npm_config_update_notifier="false", COGWHEEL_SERVER=address)
        environment.pop("PYTHONPATH", None)
        if token:
            environment["COGWHEEL_TOKEN"] = token
        return environment

    def run_block(self, block, folder="", address=None, token=TOKEN, exit_code=0):
        """(stdout, stderr) of a block, as somebody would paste it in that folder of examples/."""
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=os.path.join(self.path("examples"), folder),
                                env=self.tool_environment(address or self.address, token), stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=COMMAND_LIMIT_S, preexec_fn=die_with_parent)
        self.assertEqual(exit_code, result.returncode, f"{block}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
        return result.stdout, result.stderr

    def check_video(self, *path):
        with open(os.path.join(self.path("examples"), *path), "rb") as f:
            self.assertEqual(17, media.Mp4(f.read()).samples)

    def check_progress(self, stdout, path):
        *shown, last = stdout.splitlines()
        self.assertEqual(path, last)
        self.assertGreater(len(shown), 10, "each step")
        self.assertTrue(all(re.fullmatch(r"\d+%", line) for line in shown), shown)
        parts = [int(line[:-1]) for line in shown]
        self.assertEqual(sorted(parts), parts, "in order, also over connections that broke")

    def check_client(self, section, folder, video, command, cuts):
        """By the README; with an illegal request; without a token; and through `cuts` broken connections."""
        self.start_guarded()
        [block] = blocks(section)
        stdout, _ = self.run_block(block)
        self.check_video(folder, video)
        self.check_progress(re.search(r"^\d+%\n.*", stdout, re.DOTALL | re.MULTILINE).group(), video)

        _, stderr = self.run_block(f"{command} '' {video}", folder, exit_code=1)
        self.assertIn("PROMPT", stderr)
        self.assertIn("prompt is empty; legal are 1 to 16384 bytes", stderr)
        _, stderr = self.run_block(f"{command} 'a red star' {video}", folder, token="", exit_code=1)
        self.assertIn("NO_CREDENTIALS", stderr)

        breaking = BreakingConnection(self.address, cuts, limit=2500)
        self.addCleanup(breaking.close)
        stdout, _ = self.run_block(f"{command} 'a red star moving up' again.mp4", folder, breaking.address)
        self.assertEqual(0, breaking.cuts_left, "the connection did break")
        self.check_video(folder, "again.mp4")
        self.check_progress(stdout, "again.mp4")

    def test_python(self):
        self.check_client("Python", "python", "star.mp4", ".venv/bin/python generate.py", cuts=4)
        with open(self.path("examples/python/star.mp4.jpg"), "rb") as f:
            self.assertEqual(b"\xff\xd8\xff", f.read(3))

    def test_go(self):
        self.check_client("Go", "go", "square.mp4", "go run .", cuts=2)
        unformatted, _ = self.run_block("gofmt -l . && go vet .", "go")
        self.assertEqual("", unformatted)

    def test_node(self):
        self.check_client("Node", "node", "triangle.mp4", "node generate.mjs", cuts=4)

    def test_programs_are_installed_as_the_readme_says(self):
        installed = re.search(r"^PROGRAMS=\(.*?^\)", read("scripts/example-tools"), re.DOTALL | re.MULTILINE).group()
        self.assertEqual(sorted(re.findall(r"\S+@v\S+", installed)),
                         sorted(re.findall(r"^go install (\S+)$", read("examples/README.md"), re.MULTILINE)))

    def test_grpcurl(self):
        self.start_guarded()
        path, calls, refusal = blocks("grpcurl")
        stdout, _ = self.run_block(path + calls)
        for word in ("cogwheel.v1.VideoService", "optional int32 frames", '"name": "shapes"', '"sequence": "4294967296"',
                     '"succeeded"', '"jobs"'):
            self.assertIn(word, stdout)
        self.check_video("star.mp4")
        _, stderr = self.run_block(refusal)
        for word in ("BadRequest", "STEPS", "the nearest legal value is 200"):
            self.assertIn(word, stderr)


if __name__ == "__main__":
    unittest.main()
