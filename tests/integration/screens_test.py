"""What people see: the client in a real terminal (tmux) of 40, 80 and 120 columns, resized while it runs, without colours,
on a dumb terminal and into a pipe. The screens are kept as text in screens/; `screens_test.py --write` writes them anew.

The server is one of this test's own, which tells the events that it is given: a screen depends on no clock.
"""

import os
import queue
import subprocess
import sys
import time
import unittest
from concurrent import futures

from support import ProcessTest, program, wait_until

import grpc
from stubs import pb, rpc

SCREENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "screens")
WRITE = "--write" in sys.argv
JOB = "jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"
VIDEO = b"no video"
DIGEST = "8d5a0e2e0bd4df9b0dfb0c13e5a6cba1ab1a16b34a5b7a1a5ea1b0f2f4a2cb0a"
LIMIT_S = 60
ROWS = 12
# The bar is in the last row, as on a screen that has been used. In the first of an empty one tmux lets the beginning of a
# line that it wraps scroll away, and the cursor is not where it was in the line.
FILL = "printf '\\n%.0s' $(seq 20)"


def event(**kind):
    return pb.JobEvent(job=JOB, attempt=1, **kind)


def progress(stage, step, steps, fraction, left=None):
    told = pb.Progress(stage=stage, step=step, steps=steps, fraction=fraction)
    if left is not None:
        told.time_left.seconds = left
    return event(progress=told)


# One job: name of the screen, what the server says. Times and fractions as one might have them.
STORY = (
    ("queued", event(queued=pb.Queued(position=3))),
    ("started", event(started=pb.Started(group="default"))),
    ("prompt", progress(pb.STAGE_TEXT_ENCODE, 1, 1, 0.01)),
    ("denoise", progress(pb.STAGE_DENOISE, 5, 50, 0.1, 4000)),
    ("denoise-late", progress(pb.STAGE_DENOISE, 49, 50, 0.72, 65)),
    ("decode", progress(pb.STAGE_DECODE, 1, 2, 0.87, 7)),
)


class Teller(rpc.VideoServiceServicer):
    """Says what it is told to say."""

    def __init__(self):
        self.events = queue.Queue()

    def WatchJob(self, request, context):
        sequence = 0
        while True:
            said = self.events.get()
            sequence += 1
            said.sequence = sequence
            yield said
            if said.HasField("succeeded"):
                return


class Tmux:
    """A terminal of its own that a command runs in."""

    def __init__(self, folder, environment, columns, command):
        self.socket = os.path.join(folder, f"tmux-{time.monotonic_ns()}")
        self.environment = environment
        self.run("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(ROWS), "sh", "-c",
                 f"{FILL}; printf 'before\\n'; {command}; printf 'exit %s\\n' $?; cat")

    def run(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], env=self.environment, check=True, text=True,
                              capture_output=True, timeout=LIMIT_S).stdout

    def screen(self, *more):
        """With what has scrolled away: a resize may do that, and wrecks are to be seen."""
        lines = self.run("capture-pane", "-p", "-S", "-", *more).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"

    def resize(self, columns):
        self.run("resize-window", "-x", str(columns), "-y", str(ROWS))

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.environment, capture_output=True, timeout=LIMIT_S)


class ScreensTest(ProcessTest):
    def setUp(self):
        super().setUp()
        self.teller = Teller()
        self.pool = futures.ThreadPoolExecutor(max_workers=4)
        self.server = grpc.server(self.pool)
        rpc.add_VideoServiceServicer_to_server(self.teller, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        self.addCleanup(self.end_server)

    def end_server(self):
        self.teller.events.put(event(succeeded=pb.Succeeded()))
        self.server.stop(0).wait(LIMIT_S)
        self.pool.shutdown()

    def say(self, said):
        copy = pb.JobEvent()
        copy.CopyFrom(said)
        self.teller.events.put(copy)

    def terminal(self, columns, **more):
        variables = {"TERM": "tmux-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", **more}
        environment = {k: v for k, v in {**self.environment(), **variables}.items() if v is not None}
        outer = {**environment, "TERM": "xterm-256color"}
        # tmux names its terminal itself, so what the client is to see is set again behind it.
        name = "" if variables["TERM"] == "tmux-256color" else f"TERM={variables['TERM']} "
        command = f"{name}{program('cogwheel')} watch {JOB} --server {self.address}"
        terminal = Tmux(self.folder, outer, columns, command)
        self.addCleanup(terminal.close)
        return terminal

    def shows(self, terminal, words, *more):
        """The screen, once it has the words."""
        seen = []

        def there():
            seen.append(terminal.screen(*more))
            return words in seen[-1]
        try:
            wait_until(there, LIMIT_S, words)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen[-1]}") from None
        return seen[-1]

    def check(self, name, text):
        path = os.path.join(SCREENS, name + ".txt")
        text = text.replace("SUCCEEDED", "succeeded")  # of the result, not of the bar
        if WRITE:
            os.makedirs(SCREENS, exist_ok=True)
            with open(path, "w") as f:
                f.write(text)
        with open(path) as f:
            self.assertEqual(f.read(), text, name)

    def tell(self, terminal, columns, *more):
        """The story's screens, one after the other."""
        told = []
        for name, said in STORY:
            self.say(said)
            words = {"queued": "2 before it", "started": "started"}.get(name, f"{said.progress.fraction:.0%}")
            told.append(f"-- {name}, {columns} columns\n{self.shows(terminal, words, *more)}")
        self.say(event(succeeded=pb.Succeeded(size_bytes=len(VIDEO), sha256=DIGEST)))
        told.append(f"-- the end\n{self.shows(terminal, 'exit 0', '-J', *more)}")
        return "".join(told)

    def test_three_widths(self):
        for columns in (40, 80, 120):
            with self.subTest(columns=columns):
                terminal = self.terminal(columns)
                self.check(f"{columns}-columns", self.tell(terminal, columns))
                terminal.close()

    def test_no_color_and_plain_ascii(self):
        terminal = self.terminal(80, NO_COLOR="1", LANG="C", LC_ALL="C")
        text = self.tell(terminal, 80, "-e")  # with the escapes that make colours
        self.assertNotIn("\x1b", text)
        self.check("80-columns-no-color", text)

    def test_colours_are_there_otherwise(self):
        terminal = self.terminal(80)
        self.say(STORY[3][1])
        self.assertIn("\x1b[32m", self.shows(terminal, "10%", "-e"))

    def fits(self, terminal, columns, percent):
        """One line and no wreck, laid out for this width: the terminal tells it a little late."""
        def is_so():
            lines = terminal.screen().splitlines()
            shown = (percent, "\u2591", "left", "step")
            wanted = (True, columns >= 45, columns >= 40, columns >= 28)
            return len(lines) == 2 and tuple(word in lines[1] for word in shown) == wanted
        try:
            wait_until(is_so, LIMIT_S, f"one line of {columns} columns")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{terminal.screen()}") from None

    def test_a_window_that_is_resized_while_it_runs(self):
        terminal = self.terminal(120)
        told = []
        for columns, (name, said) in zip((120, 50, 30, 20, 100), (STORY[3], STORY[3], STORY[4], STORY[4], STORY[5])):
            terminal.resize(columns)
            self.say(said)
            self.fits(terminal, columns, f"{said.progress.fraction:.0%}")
            told.append(f"-- {name}, now {columns} columns\n{terminal.screen()}")
        self.say(event(succeeded=pb.Succeeded(size_bytes=len(VIDEO), sha256=DIGEST)))
        told.append(f"-- the end\n{self.shows(terminal, 'exit 0', '-J')}")
        self.check("resized", "".join(told))

    def test_resizing_alone_draws_anew(self):
        terminal = self.terminal(120)
        self.say(STORY[3][1])
        self.shows(terminal, "10%")
        for columns in (40, 90, 25):
            terminal.resize(columns)
            self.fits(terminal, columns, "10%")

    def test_a_dumb_terminal_gets_lines(self):
        terminal = self.terminal(80, TERM="dumb")
        self.say(STORY[3][1])
        text = self.shows(terminal, "10%")
        self.say(event(succeeded=pb.Succeeded(size_bytes=len(VIDEO), sha256=DIGEST)))
        self.shows(terminal, "exit 0")
        self.check("dumb", text)

    def test_a_pipe_gets_a_word_within_a_second_and_lines(self):
        client = self.start_cogwheel("watch", JOB, "--server", self.address, TERM="xterm-256color")
        self.say(STORY[0][1])
        first = client.stderr.readline()
        self.say(STORY[4][1])
        second = client.stderr.readline()  # 5 s later
        self.say(event(succeeded=pb.Succeeded(size_bytes=len(VIDEO), sha256=DIGEST)))
        stdout, stderr = client.communicate(timeout=LIMIT_S)
        self.assertEqual(0, client.returncode, stderr)
        self.check("pipe", first + second + stderr + stdout)

    def test_a_run_of_its_own_says_that_it_starts(self):
        """In a pipe, before anything else, and with the number of ranks: so many that no machine is done within a second."""
        client = self.start_cogwheel("generate", "--prompt", "a red circle", "--ulysses", "6", "--ring", "2", "--steps", "2", "-o", "a.mp4")
        first = client.stderr.readline()
        _, rest = client.communicate(timeout=LIMIT_S)
        self.assertEqual(0, client.returncode, rest)
        self.assertRegex(first, r"^starting 12 ranks of shapes(, \d+ s)?\n$")


if __name__ == "__main__":
    if WRITE:
        sys.argv.remove("--write")
    unittest.main()
