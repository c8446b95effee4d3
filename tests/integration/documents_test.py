"""Runs the code blocks of the documents as a reader would: from a fresh clone, in order, a shell a terminal.

A block whose first line says `# terminal N` runs in a shell of its own and may stay in the foreground: the next block starts once
it is ready, and Ctrl-C ends it when the document has. All other blocks of a document share a shell. The clone's build/release is
that of the programs under test, so that scripts/build finds nothing to do.
"""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import BIN, CACHE, ROOT, die_with_parent

sys.path.insert(0, os.path.join(ROOT, "tests", "tidy"))
from documents import RUN_ELSEWHERE, blocks_of, documents  # noqa: E402

URL = "https://github.com/cogwheel/cogwheel"  # that the documents clone
PORTS = (50051, 9090)  # the servers' own
BLOCK_LIMIT_S, STOP_LIMIT_S, PORTS_LIMIT_S = 300, 30, 60
TOOLS = os.environ.get("COGWHEEL_TOOLS") or os.path.join(CACHE, "pytools")
DONE = "block-is-done"


def ports_in_use():
    taken = []
    for port in PORTS:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                taken.append(port)
    return taken


class Terminal:
    """A shell that a person would have open."""

    def __init__(self, folder, env):
        self.folder, self.said, self.lines = tempfile.mkdtemp(dir=folder), "", queue.Queue()
        self.shell = subprocess.Popen(["bash", "-e", "-o", "pipefail"], cwd=os.path.join(folder, "clone"), env=env, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      start_new_session=True, preexec_fn=die_with_parent, errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.running = None

    def _read(self):
        for line in self.shell.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def start(self, block):
        path = os.path.join(self.folder, f"{block.line}.{block.language}")
        with open(path, "w") as f:
            f.write(block.text)
        self.running = block
        run = f". {path}" if block.language == "sh" else f"PYTHONPATH=.:{TOOLS} python3 {path}"
        link = f"if [ -e scripts/build ] && [ ! -e build ]; then mkdir build; ln -s {os.path.dirname(BIN)} build/release; fi"
        self.shell.stdin.write(f"{link}\n{run} </dev/null\necho; echo {DONE}\n")
        self.shell.stdin.flush()

    def wait(self, limit_s, ready=None):
        """Until the block has ended, or has said that it is ready. True when it has ended."""
        until = time.monotonic() + limit_s
        while True:
            try:
                line = self.lines.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self.running}: not within {limit_s} s:\n{self.said[-4000:]}") from None
            if line is None:
                raise AssertionError(f"{self.running}: exit {self.shell.wait()}:\n{self.said[-4000:]}")
            if line.strip() == DONE:
                self.running = None
                return True
            self.said += line
            if ready and ready in line:
                return False

    def stop(self):
        """As Ctrl-C does; what was in the foreground must take it well."""
        if self.running:
            os.killpg(self.shell.pid, signal.SIGINT)
            self.wait(STOP_LIMIT_S)

    def kill(self):
        self.shell.stdin.close()
        try:
            os.killpg(self.shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.shell.wait()
        self.reader.join()
        self.shell.stdout.close()


class DocumentsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="cogwheel-documents-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.snapshot = os.path.join(cls.folder, "snapshot")  # the tree as it is, committed or not
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True)
        files = [f for f in listed.stdout.decode().split("\0") if f and os.path.exists(os.path.join(ROOT, f))]
        for f in files:
            os.makedirs(os.path.dirname(os.path.join(cls.snapshot, f)), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, f), os.path.join(cls.snapshot, f))
        cls.git("init", "-q", cls.snapshot)
        cls.git("-C", cls.snapshot, "add", "-A")
        cls.git("-C", cls.snapshot, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "snapshot")

    @staticmethod
    def git(*arguments):
        subprocess.run(["git", *arguments], check=True, stdin=subprocess.DEVNULL)

    def environment(self, folder):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("COGWHEEL_", "GRPC_", "XDG_"))}
        home, temporary = os.path.join(folder, "home"), os.path.join(folder, "tmp")
        os.makedirs(home)
        os.makedirs(temporary)
        clones = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{self.snapshot}.insteadOf", "GIT_CONFIG_VALUE_0": URL}
        return {**kept, **clones, "HOME": home, "TMPDIR": temporary, "COGWHEEL_CACHE": CACHE, "PYTHONDONTWRITEBYTECODE": "1"}

    def run_document(self, document):
        blocks = [block for block in blocks_of(document) if block.runs]
        folder = os.path.join(self.folder, re.sub(r"\W", "-", document))
        os.mkdir(folder)
        env = self.environment(folder)
        self.git("clone", "-q", self.snapshot, os.path.join(folder, "clone"))
        terminals = {}
        try:
            for block in blocks:
                if block.terminal not in terminals:
                    terminals[block.terminal] = Terminal(folder, env)
                terminal = terminals[block.terminal]
                self.assertIsNone(terminal.running, f"{block}: its terminal is still busy with {terminal.running}")
                terminal.start(block)
                terminal.wait(BLOCK_LIMIT_S, ready='"ready":true' if block.terminal else None)
            for terminal in reversed(terminals.values()):
                terminal.stop()
        finally:
            for terminal in terminals.values():
                terminal.kill()

    def setUp(self):
        until = time.monotonic() + PORTS_LIMIT_S
        while (taken := ports_in_use()) and time.monotonic() < until:
            time.sleep(0.5)
        if taken:
            self.skipTest(f"ports {taken} of the documents' commands are in use")

    def check_document(self, document):
        begin, blocks = time.monotonic(), blocks_of(document)
        if any(block.runs for block in blocks):
            self.run_document(document)
        print(f"{document}: {sum(b.runs for b in blocks)} blocks, {time.monotonic() - begin:.1f} s", flush=True)
        for block in blocks:
            if block.not_run:
                print(f"  line {block.line}: not run: {block.not_run}", flush=True)


for each in sorted(set(documents()) - set(RUN_ELSEWHERE)):  # DocumentsTest.test_docs_metrics is docs/metrics.md
    setattr(DocumentsTest, "test_" + re.sub(r"\W", "_", each.removesuffix(".md")).lower(),
            lambda self, document=each: self.check_document(document))


if __name__ == "__main__":
    unittest.main()
