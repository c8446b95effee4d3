"""Messages that people meet in their first hour: each command line with its exit code and what it must say. What a
message advises is tried."""

import json
import re
import subprocess
import unittest

from support import SHAPES, SMALL, ProcessTest, program

GENERATE = ("cogwheel", "generate", "--prompt", "a red circle")
WORKER = ("cogwheel-worker", "--model", SHAPES)
SERVER = ("cogwheel-server",)
NO_SERVER = "127.0.0.1:1"

# (command line, exit code, what the message holds). NOBODY is replaced by an address without a server, EMPTY by that of
# a server without ranks.
MESSAGES = (
    # What is typed in the first minute.
    (("cogwheel",), 2, ("a command is missing", "generate", "cogwheel help")),
    (("cogwheel", "generat"), 2, ("'generat' is not known", "nearest is generate")),
    (("cogwheel", "help", "me"), 2, ("'me' is not known; see cogwheel help",)),
    (("cogwheel", "help", "--json"), 2, ("'--json' is not known by help", "cogwheel help [COMMAND]")),
    (("cogwheel", "--server", "h:1", "list"), 2, ("'--server' stands before the command", "behind it")),
    (("cogwheel", "generate", "--promt", "x"), 2, ("'--promt' is not known by generate", "nearest is --prompt")),
    (("cogwheel", "generate"), 2, ("--prompt is missing", "16 KiB")),
    (("cogwheel", "generate", "--prompt"), 2, ("--prompt needs a value", "--prompt TEXT")),
    (("cogwheel", "generate", "--prompt", "a", "red", "circle"), 2, ("'red'", "quotation marks", '--prompt "a red circle"')),
    (("cogwheel", "generate", "a", "red", "circle"), 2, ('--prompt "a red circle"',)),
    ((*GENERATE, "-o", "a", "-o", "b"), 2, ("--output is given twice; legal is once",)),
    ((*GENERATE, "--seed", "--json"), 2, ("--seed needs a value before --json", "--seed=NUMBER")),
    (("cogwheel", "generate", "--prompt", "-o", "x.mp4"), 2, ("--prompt needs a value before -o", "--prompt=TEXT")),
    ((*GENERATE, "-v"), 2, ("'-v' is not known by generate; see cogwheel help generate",)),
    ((*SERVER, "-p"), 2, ("'-p' is not known by cogwheel-server; see cogwheel-server --help",)),
    ((*SERVER, "help", "me"), 2, ("'me' is not expected", "cogwheel-server --help")),
    ((*SERVER, "--allow-plaintext="), 2, ("--allow-plaintext '' is not legal", "true, false")),
    ((*GENERATE, "--json=yes"), 2, ("--json takes no value",)),
    (("cogwheel", "submit", "--prompt", "x", "--ring", "2"), 2, ("'--ring' is not known by submit", "one of generate, doctor")),
    (("cogwheel", "watch"), 2, ("watch needs a job's name", "cogwheel list")),
    (("cogwheel", "completion", "fish"), 2, ("'fish'", "bash or zsh")),
    ((*SERVER, "--lissen", "x"), 2, ("'--lissen' is not known by cogwheel-server", "nearest is --listen")),
    ((*SERVER, "stray"), 2, ("'stray' is not expected", "cogwheel-server --help")),
    ((*SERVER, "--listen"), 2, ("--listen needs a value",)),
    ((*WORKER, "--ulyses", "2"), 2, ("'--ulyses' is not known by cogwheel-worker", "nearest is --ulysses")),
    (("cogwheel-worker",), 2, ("model is missing", "--model")),
    # Values, and the flag that cures.
    ((*GENERATE, "--height", "480", "--width", "720"), 2, ("345600 pixels", "height 96, width 128")),
    ((*GENERATE, "--height", "478"), 2, ("height 478", "multiple of 16", "within the model's limits")),
    ((*GENERATE, "--frames", "49"), 2, ("frames 49 exceeds the model's 17", "nearest legal value is 17")),
    ((*GENERATE, "--steps", "201"), 2, ("steps 201", "1 to 200")),
    ((*GENERATE, "--device", "cuda"), 2, ("built without CUDA", "nearest legal value is cpu", "scripts/build --cuda")),
    (("cogwheel", "list", "--limit", "-5"), 2, ("limit -5", "nearest legal value is 0")),
    ((*GENERATE, "--ring", "17"), 2, ("ring 17", "nearest legal value is 16")),
    ((*GENERATE, "--ring", "5", "--ulysses", "4"), 2, ("20 ranks", "--ring 4 --ulysses 4")),
    ((*GENERATE, "--server", "h:1", "--ring", "2"), 2, ("--ring cannot be used with --server", "leave one of the two out")),
    ((*GENERATE, "--token-file", "f"), 2, ("--token-file needs --server",)),
    ((*WORKER, "--ranks", "4"), 2, ("ranks 4", "add --ulysses 4")),
    ((*WORKER, "--ranks", "40"), 2, ("ranks 40", "--ranks 16 --ulysses 16")),
    ((*WORKER, "--ranks", "2", "--ulysses", "4"), 2, ("only legal value on one host is 4", "--peer-host")),
    ((*WORKER, "--ring", "5", "--ulysses", "4"), 2, ("20 ranks", "--ring 4 --ulysses 4")),
    ((*WORKER, "--cfg-parallel", "3"), 2, ("--cfg-parallel 3 is not legal; the nearest legal value is 2",)),
    ((*WORKER, "--device", "cuda"), 2, ("built without CUDA", "nearest legal value is cpu", "scripts/build --cuda")),
    ((*SERVER, "--result-hours", "0"), 2, ("--result-hours 0 is not legal; the nearest legal value is 1",)),
    ((*SERVER, "--listen", "0.0.0.0:0"), 2, ("--internal-listen is required",)),
    # Nobody is there.
    (("cogwheel", "list", "--server", "NOBODY"), 3, ("NOBODY is not reachable", "is cogwheel-server running there?")),
    ((*GENERATE, "--server", "NOBODY"), 3, ("NOBODY is not reachable", "without --server everything is started here")),
    (("cogwheel", "submit", "--prompt", "x", "--server", "EMPTY"), 3,
     ("no group has joined yet", "cogwheel-worker --frontend", "--model")),
    (("cogwheel", "groups", "--server", "EMPTY"), 0, ("no groups yet", "cogwheel-worker --frontend EMPTY")),
    (("cogwheel", "models", "--server", "EMPTY"), 0, ("no models", "cogwheel-worker --frontend EMPTY")),
    (("cogwheel", "list", "--server", "EMPTY"), 0, ("no jobs yet",)),
    ((*SERVER, "--listen", "EMPTY", "--admin-listen", "127.0.0.1:0"), 3, ("EMPTY: address already in use", "--listen 127.0.0.1:0")),
    ((*SERVER, "--listen", "127.0.0.1:0", "--admin-listen", "EMPTY"), 3,
     ("EMPTY: address already in use", "--admin-listen 127.0.0.1:0")),
    ((*SERVER, "--log-format", "xml"), 2, ("--log-format 'xml'", "text", "json", "auto")),
)


class AdviceTest(ProcessTest):
    def run_program(self, *command):
        return subprocess.run([program(command[0]), *command[1:]], env=self.environment(), cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, errors="replace")

    def test_messages(self):
        _, empty = self.start_server()
        names = {"NOBODY": NO_SERVER, "EMPTY": empty}
        for command, exit_code, said in MESSAGES:
            with self.subTest(" ".join(command)):
                result = self.run_program(*(names.get(word, word) for word in command))
                self.assertEqual(exit_code, result.returncode, result.stderr)
                lines = [line for line in result.stderr.splitlines() if not line.startswith("starting ")]  # progress
                self.assertEqual(1, len(lines), result.stderr)
                message = lines[0]
                self.assertTrue(message.startswith(command[0] + ": "), message)
                for part in said:
                    self.assertIn(part.replace("NOBODY", NO_SERVER).replace("EMPTY", empty), message)
                self.assertNotRegex(message, r"\d required|ExtrasError|UNKNOWN: ")

    def test_the_size_that_is_named_is_made(self):
        said = self.fails(2, "generate", "--prompt", "x", "--height", "480", "--width", "720")
        height, width = re.search(r"height (\d+), width (\d+)$", said).groups()
        self.succeeds("generate", "--prompt", "x", *SMALL[:2], *SMALL[-2:], "--height", height, "--width", width)

    def test_the_prompt_that_is_named_is_taken(self):
        said = self.fails(2, "generate", "--prompt", "a", "red", "circle")
        prompt = re.search(r'--prompt "(.*)"', said).group(1)
        self.succeeds("generate", "--prompt", prompt, *SMALL)

    def test_the_ranks_that_are_named_form_a_group(self):
        _, address = self.start_server()
        refused = self.run_program(*WORKER, "--frontend", address, "--ranks", "2")
        flags = re.search(r"add (--ulysses 2)", refused.stderr).group(1).split()
        self.start_child("cogwheel-worker", "--frontend", address, "--model", SHAPES, "--ranks", "2", *flags).ready_line()
        self.wait_healthy(address)

    def test_no_group_yet_and_then_one(self):
        _, address = self.start_server()
        said = self.fails(3, "submit", "--prompt", "x", *SMALL, "--server", address)
        command = re.search(r"cogwheel-worker --frontend HOST:PORT --model FOLDER", said).group(0).split()
        arguments = [{"HOST:PORT": address, "FOLDER": SHAPES}.get(word, word) for word in command]
        self.start_child(*arguments).ready_line()
        self.wait_healthy(address)
        self.assertTrue(self.succeeds("submit", "--prompt", "x", *SMALL, "--server", address).startswith("jobs/"))

    def test_labels_arrive(self):
        _, _, address = self.start_service()
        job = self.succeeds("submit", "--prompt", "x", *SMALL, "--server", address, "--label", "user=42",
                            "--label", "note=a=b").strip()
        shown = json.loads(self.succeeds("get", job, "--json", "--server", address))
        self.assertEqual({"user": "42", "note": "a=b"}, shown["request"]["labels"])
        labels = [part for i in range(17) for part in ("--label", f"k{i}=v")]
        said = self.fails(2, "submit", "--prompt", "x", "--server", address, *labels)
        self.assertIn("17 entries; at most 16", said)


if __name__ == "__main__":
    unittest.main()
