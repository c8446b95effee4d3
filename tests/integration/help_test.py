"""What the programs say of themselves: every flag with what, unit and default, at every width, held to its sources."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import unittest

from support import ROOT, SHAPES, ProcessTest, program

SERVERS = ("cogwheel-server", "cogwheel-worker")
WIDTHS = (40, 80, 100)
DEFAULT = r"(Required|No default|Off by default|Default[: ][^.]*(\.[^ ][^.]*)*)\."


def entries(text):
    """(section, head, text) of each entry of a page, whatever its width, with words joined by one space."""
    found, section = [], ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line.rstrip(":")
        elif re.match(r"  \S", line):
            head, _, rest = line.strip().partition("  ")
            found.append([section, head, rest.strip()])
        elif re.match(r"    \S", line) and found:  # a head that goes on
            found[-1][1] += " " + line.strip()
        elif line.strip() and found:
            found[-1][2] = (found[-1][2] + " " + line.strip()).strip()
    return [tuple(entry) for entry in found]


def comments(message):
    """name -> (group, comment) of each field, read from config.proto's text."""
    with open(os.path.join(ROOT, "proto", "cogwheel", "config", "v1", "config.proto")) as f:
        body = re.search(rf"message {message} {{\n(.*?)\n}}", f.read(), re.S).group(1)
    fields, comment, group = {}, [], ""
    for line in map(str.strip, body.splitlines()):
        if line.startswith("// == "):
            group = line.removeprefix("// == ")
        elif line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
        elif line:
            fields[re.search(r"(\w+) = \d+;", line).group(1)] = (group, " ".join(comment))
            comment = []
    return fields


class HelpTest(ProcessTest):
    def run_program(self, name, *arguments, **more):
        return subprocess.run([program(name), *arguments], env=self.environment(**more), cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def help(self, name, *arguments, columns=100):
        result = self.run_program(name, *arguments, COLUMNS=str(columns))
        self.assertEqual((0, ""), (result.returncode, result.stderr), (name, arguments))
        return result.stdout

    def pages(self):
        """(program, arguments) of every page of help."""
        commands = [head.split()[0] for section, head, _ in entries(self.help("cogwheel", "help"))
                    if section not in ("Example", "Environment", "Exit codes")]
        self.assertLessEqual({"generate", "submit", "list", "doctor", "completion", "help", "version"}, set(commands))
        return [(name, ("--help",)) for name in ("cogwheel", *SERVERS)] + [("cogwheel", ("help", c)) for c in commands]

    def test_no_line_is_too_long_and_no_word_broken(self):
        for name, arguments in self.pages():
            widest = self.help(name, *arguments)
            words = sorted(word for word in widest.split() if word != "\\")
            for columns in WIDTHS:
                with self.subTest(f"{name} {arguments} {columns}"):
                    text = self.help(name, *arguments, columns=columns)
                    self.assertEqual([], [line for line in text.splitlines() if len(line) > columns or line != line.rstrip()])
                    self.assertTrue(text.endswith("\n") and not text.endswith("\n\n"))
                    self.assertNotIn("\n\n\n", text)
                    self.assertEqual(words, sorted(word for word in text.split() if word != "\\"))

    def test_a_terminal_s_width_is_taken(self):
        for name in ("cogwheel", *SERVERS):
            for columns in (44, 66):
                with self.subTest(f"{name} {columns}"):
                    master, terminal = pty.openpty()
                    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                    environment = {k: v for k, v in self.environment().items() if k != "COLUMNS"}
                    with subprocess.Popen([program(name), "help"], env=environment, stdout=terminal) as process:
                        os.close(terminal)
                        text = b""
                        try:
                            while piece := os.read(master, 65536):
                                text += piece
                        except OSError:  # the other side is closed
                            pass
                        self.assertEqual(0, process.wait(30))
                    os.close(master)
                    self.assertEqual(self.help(name, "help", columns=columns), text.decode().replace("\r\n", "\n"))

    def test_every_flag_has_what_unit_and_default(self):
        flags = 0
        for name, arguments in self.pages():
            for _, head, text in entries(self.help(name, *arguments)):
                if not head.startswith("-"):
                    continue
                flags += 1
                with self.subTest(f"{name} {arguments} {head}"):
                    flag = re.fullmatch(r"(-\w, )?(--[a-z-]+)( \S+)?", head)
                    self.assertTrue(flag, "a flag and the kind of its value")
                    default = re.search(DEFAULT, text)
                    self.assertTrue(default, text)
                    self.assertGreater(default.start(), 10, "what it is for")
                    self.assertEqual(flag.group(3) in (None, " [true|false]"),
                                     default.group(1) in ("Off by default", "Default false"), text)
        self.assertGreater(flags, 150)

    def test_the_important_comes_first(self):
        for command, first, last in (("generate", ["--prompt", "-o, --output", "--model"], "Access to a server"),
                                     ("submit", ["--prompt", "--model", "--frames"], "Access to a server")):
            page = entries(self.help("cogwheel", command, "--help"))
            flags = [re.sub(r" [A-Z]\S*$", "", head) for _, head, _ in page if head.startswith("-")]
            self.assertEqual(first, flags[:3])
            self.assertEqual(last, [section for section, head, _ in page if head.startswith("-")][-1])

    def test_a_server_s_flags_are_the_fields_of_its_configuration(self):
        for name, message in zip(SERVERS, ("ServerConfig", "WorkerConfig")):
            page = {head.split()[0]: (section, head, text) for section, head, text in entries(self.help(name, "--help"))}
            defaults = json.loads(self.run_program(name, "--print-config").stdout)
            fields = comments(message)
            own = {"--config", "--print-config", "-v,", "-h,"}
            self.assertEqual({"--" + field.replace("_", "-") for field in fields} | own,
                             {flag for flag in page if flag.startswith("-")})
            for field, (group, comment) in fields.items():
                with self.subTest(f"{name} {field}"):
                    section, head, text = page["--" + field.replace("_", "-")]
                    self.assertEqual(group, section)
                    what, _, tail = comment.rstrip("]").partition(" [")
                    value, _, fallback = tail.partition("; ")
                    self.assertTrue(text.startswith(what + " "), text)
                    self.assertTrue(head.endswith(" " + (value or "[true|false]")), head)
                    self.assertTrue(text.endswith(f" COGWHEEL_{field.upper()}."), text)
                    if fallback:
                        self.assertIn(f" {fallback.capitalize()[0]}{fallback[1:]}. ", text)
                    elif value:
                        self.assertIn(f" Default {defaults[field]}", text)

    def test_a_server_s_ranges_are_those_that_it_checks(self):
        checked = 0
        for name in SERVERS:
            for _, head, text in entries(self.help(name, "--help")):
                legal = re.search(r" (\d+)( to (\d+)| or more)\. ", text)
                if not head.startswith("--") or not legal or head.startswith("--ranks"):
                    continue
                flag, least, most = head.split()[0], int(legal.group(1)), legal.group(3)
                for wrong, nearest in [(least - 1, least)] + ([(int(most) + 1, int(most))] if most else []):
                    checked += 1
                    with self.subTest(f"{name} {flag} {wrong}"):
                        result = self.run_program(name, f"{flag}={wrong}", *(("--model", "m") if "worker" in name else ()))
                        self.assertEqual((2, f"{name}: {flag} {wrong} is not legal; the nearest legal value is {nearest}\n"),
                                         (result.returncode, result.stderr))
        self.assertGreaterEqual(checked, 20)

    def test_a_server_s_words_are_those_that_it_takes(self):
        for name in SERVERS:
            for _, head, _ in entries(self.help(name, "--help")):
                words = re.fullmatch(r"(--[a-z-]+) ([a-z]\w*(\|\w+)+)", head)
                if not words:
                    continue
                with self.subTest(f"{name} {head}"):
                    result = self.run_program(name, words.group(1), "nosuch", *(("--model", SHAPES) if "worker" in name else ()))
                    self.assertEqual(2, result.returncode)
                    for word in words.group(2).split("|"):
                        self.assertRegex(result.stderr, rf"\b{word}\b")

    def test_what_people_type(self):
        for name in ("cogwheel", *SERVERS):
            for words in (("--help", "-h", "help"), ("--version", "-v", "version")):
                said = {self.help(name, word) for word in words}
                self.assertEqual(1, len(said), (name, words))
            self.assertTrue(self.help(name, "--version").startswith(name + " "))
        self.assertEqual(self.help("cogwheel", "help", "generate"), self.help("cogwheel", "generate", "-h"))


class CompletionTest(ProcessTest):
    def script(self, shell):
        path = self.path(f"cogwheel.{shell}")
        with open(path, "w") as f:
            f.write(self.succeeds("completion", shell))
        return path

    def bash(self, *words):
        """What bash offers at the end of these words, as readline splits them."""
        typed = " ".join(f"'{word}'" for word in words)
        lines = (f"source {self.script('bash')}\nCOMP_WORDS=(cogwheel {typed})\nCOMP_CWORD={len(words)}\n"
                 "compopt() { :; }\n_cogwheel\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
        result = subprocess.run(["bash", "-u", "-c", lines], cwd=self.folder, capture_output=True, text=True, timeout=30)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        return result.stdout.split("\n")[:-1]

    def test_bash(self):
        with open(self.path("a clip.mp4"), "w"):
            pass
        self.assertEqual(["generate", "get", "groups"], sorted(self.bash("g")))
        self.assertIn("--help", self.bash("--"))
        self.assertEqual(["--steps"], self.bash("generate", "--st"))
        self.assertEqual([""], self.bash("get", "--st"))
        self.assertIn("--state", self.bash("list", "--"))
        self.assertEqual(["video", "frames", "latent"], self.bash("generate", "--output-type", ""))
        self.assertEqual(["frames"], self.bash("generate", "--output-type", "=", "fr"))
        self.assertEqual(["ddim", "dpm"], self.bash("submit", "--scheduler", "="))
        self.assertEqual(["a clip.mp4"], self.bash("generate", "-o", "a"))
        self.assertEqual([""], self.bash("generate", "--prompt", ""))
        self.assertEqual(["bash", "zsh"], self.bash("completion", ""))
        self.assertEqual(["generate"], self.bash("help", "gen"))

    def test_every_flag_is_offered(self):
        for command in ("generate", "submit", "list", "download", "doctor"):
            flags = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", self.succeeds("help", command, COLUMNS="100"), re.M)
            self.assertEqual(sorted(flags), sorted(self.bash(command, "--")), command)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        """In a real zsh, behind a terminal of its own: what a person sees after Tab."""
        lines = ("autoload -Uz compinit && compinit -u -d $PWD/dump\n"
                 f"source {self.script('zsh')}\n"
                 "zmodload zsh/zpty\n"
                 "zpty shell zsh -f -i\n"
                 "zpty -w shell 'autoload -Uz compinit && compinit -u -d $PWD/dump; unsetopt zle_bracketed_paste; LISTMAX=1000'\n"
                 f"zpty -w shell 'source {self.script('zsh')}; PS1=ready'\n"
                 "zpty -r shell text '*ready*'\n"
                 "zpty -w -n shell \"$1\"$'\\t'\n"
                 "zpty -r -m shell text \"*$2*\" && print -r -- $text\n"
                 "zpty -d shell\n")
        for typed, seen in (("cogwheel generate --st", "--steps"), ("cogwheel gen", "generate"),
                            ("cogwheel submit --scheduler d", "ddim*dpm")):
            with self.subTest(typed):
                result = subprocess.run(["zsh", "-f", "-c", lines, "zsh", typed, seen], cwd=self.folder, capture_output=True,
                                        text=True, timeout=30, env=self.environment(TERM="vt100"), errors="replace")
                self.assertRegex(result.stdout, seen.replace("*", "(.|\n)*"), result.stderr)


if __name__ == "__main__":
    unittest.main()
