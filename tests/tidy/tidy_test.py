"""Holds the tree to the habits of ARCHITECTURE.md: sizes, include directions, two worlds, documents that are true."""

import collections
import os
import re
import subprocess
import sys
import unittest

from documents import documents

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CODE = (".h", ".cc", ".cu", ".cuh")
MAX_FILE_LINES, MAX_TEST_LINES = 300, 800
MAX_FUNCTION_LINES, MAX_COLUMNS = 40, 100
MAX_FILE_BYTES = 256 * 1024

# What a room may include besides itself, base/ and proto/. A room that is not listed is free (tests).
MAY_INCLUDE = {
    "base": [],
    "proto/contract": [],
    "server": ["server/api", "server/streams", "server/operate", "server/groups", "server/dispatch", "server/job", "server/store/sqlite", "server/store/files",
               "server/schedule", "server/metrics"],
    "server/api": ["server/streams", "server/operate", "server/groups", "server/dispatch", "server/events", "server/schedule", "server/job", "server/metrics"],
    "server/operate": ["server/groups", "server/dispatch", "server/events", "server/schedule", "server/job"],
    "server/groups": ["server/dispatch", "server/schedule", "server/job", "server/metrics"],
    "server/dispatch": ["server/events", "server/schedule", "server/job", "server/metrics"],
    "server/streams": ["server/events", "server/job"],
    "server/events": ["server/job"],
    "server/schedule": ["server/job", "server/metrics"],
    "server/store/sqlite": ["server/store/files", "server/job", "server/metrics"],
    "server/store/files": ["server/job", "server/metrics"],
    "server/job": [],
    "server/metrics": [],
    "client": ["client/doctor"],
    "client/doctor": [],
    "worker": ["worker/metrics", "worker/launch", "worker/rpc", "worker/rank", "worker/pipeline", "worker/journal",
               "worker/comm/mailbox", "worker/comm/nccl", "worker/families", "worker/families/cogvideox", "worker/media", "worker/device",
               "worker/doctor"],
    "worker/doctor": ["worker/rank", "worker/families", "worker/sequence", "worker/device"],
    "worker/launch": [],
    "worker/rpc": ["worker/rank", "worker/pipeline", "worker/weights", "worker/media"],
    "worker/rank": ["worker/pipeline", "worker/journal"],
    "worker/pipeline": ["worker/families", "worker/sequence", "worker/journal", "worker/comm", "worker/weights", "worker/device"],
    "worker/families/cogvideox": ["worker/families", "worker/sequence", "worker/kernels", "worker/weights", "worker/device"],
    "worker/families": ["worker/sequence"],
    "worker/weights": ["worker/device"],
    "worker/sequence": ["worker/kernels", "worker/comm", "worker/device"],
    "worker/journal": ["worker/comm", "worker/comm/mailbox"],
    "worker/comm/mailbox": ["worker/comm"],
    "worker/comm/nccl": ["worker/comm"],
    "worker/comm": [],
    "worker/kernels": ["worker/device"],
    "worker/device": [],
    "worker/media": [],
    "worker/metrics": ["worker/journal"],
}
TORCH = re.compile(r'#include [<"](ATen|c10|torch)/')
WIRE = re.compile(r'#include [<"](grpcpp|grpc|google/protobuf|fmt|spdlog)/|\.pb\.h"')
NO_TORCH_ROOMS = ("base/", "proto/", "server/", "client/", "worker/comm/", "worker/journal/", "worker/media/", "worker/rank/",
                  "worker/rpc/", "worker/launch/", "worker/metrics/", "worker/doctor/")
BANNED_NAMES = {"utils", "util", "common", "misc", "types", "helpers"}
BANNED_CODE = {
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "an unfinished note",
    r"#include <torch/torch\.h>": "15 s of front end; include the ATen headers needed",
    r"\bthread_local\b": "a context is passed instead",
    r"\b(\w*status|why|ran|swept|committed)(\(\))?\.ToString\(\)": "prints its details' bytes: say message() or InWords()",
    r"\bsleep_for\b|\busleep\(|\bsleep\(": "time comes from Clock; waits wait for something",
}
SLEEP_ALLOWED = ("tests/integration/", "tests/faults/")  # there a step of simulated work is time itself


def tracked():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout
    return [f for f in listed.splitlines() if os.path.isfile(os.path.join(ROOT, f))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def room_of(path):
    return os.path.dirname(path)


def functions(text):
    """(first line, length) of each function body: from the line its signature starts on to the closing brace below it."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if not line.endswith("{") or ")" not in line or re.search(r"\](\(|\s*\{)", line):  # lambdas count with their function
            continue
        head = i  # a wrapped signature starts further up
        while head > 0 and lines[head - 1].strip() and not lines[head - 1].rstrip().endswith(("{", "}", ";", ":")) \
                and not lines[head - 1].lstrip().startswith(("//", "#")):
            head -= 1
        start = lines[head]
        if re.match(r"\s*(if|for|while|switch|else|do|namespace|return|case|\})\b", start) or start.startswith("     "):
            continue
        indent = re.match(r" *", start).group(0)
        for j in range(i + 1, len(lines)):
            if lines[j].startswith(indent + "}"):
                yield head + 1, j - i + 1
                break


class Tidy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.files = tracked()
        cls.code = [f for f in cls.files if f.endswith(CODE)]
        cls.text = {f: read(f) for f in cls.code}

    def check(self, problems):
        self.assertEqual([], sorted(problems))

    def test_files_and_functions_stay_small(self):
        problems = []
        for f, text in self.text.items():
            limit = MAX_TEST_LINES if f.startswith("tests/") else MAX_FILE_LINES
            if (count := text.count("\n")) > limit:
                problems.append(f"{f}: {count} lines, limit {limit}")
            if not f.startswith("tests/"):
                problems += [f"{f}:{line}: function of {length} lines, limit {MAX_FUNCTION_LINES}"
                             for line, length in functions(text) if length > MAX_FUNCTION_LINES]
            problems += [f"{f}:{n}: {len(line)} columns" for n, line in enumerate(text.split("\n"), 1)
                         if len(line) > MAX_COLUMNS]
        self.check(problems)

    def test_includes_point_down(self):
        problems = []
        for f, text in self.text.items():
            room = room_of(f)
            if room not in MAY_INCLUDE:
                if room.startswith(("base", "proto/contract", "server", "client", "worker")):
                    problems.append(f"{f}: {room}/ is no room of MAY_INCLUDE")
                continue
            for included in re.findall(r'#include "([^"]+)"', text):
                target = room_of(included)
                if target == room or included.startswith(("base/", "proto/contract/", "cogwheel/", "google/rpc/", "grpc/health/", "grpc/reflection/")):
                    continue
                if target not in MAY_INCLUDE[room]:
                    problems.append(f"{f} includes {included}")
            if room == "base" and re.search(r'#include "(proto|cogwheel|google)/', text):
                problems.append(f"{f}: base/ knows no contract")
        self.check(problems)

    def test_rooms_go_round_in_no_circle(self):
        rooms, above = dict(MAY_INCLUDE), []
        while rooms:
            bottom = [room for room, below in rooms.items() if not set(below) & set(rooms)]
            if not bottom:
                above = sorted(rooms)
                break
            for room in bottom:
                del rooms[room]
        self.check(above)

    def test_no_room_is_a_quarter_of_its_program(self):
        problems = []
        for program in ("server", "worker"):
            sizes = collections.Counter()
            for f, text in self.text.items():
                if f.startswith(program + "/"):
                    sizes[room_of(f)] += text.count("\n")
            whole = sum(sizes.values())
            problems += [f"{room}: {size} of {whole} lines" for room, size in sizes.items() if 4 * size > whole]
        self.check(problems)

    def test_public_and_internal_api_never_meet(self):
        problems = [f for f in self.files if f.endswith(".proto") and "cogwheel/v1/" in f
                    and "cogwheel/internal" in read(f)]
        problems += [f for f in self.files if f.endswith(".proto") and "cogwheel/internal/" in f
                     and "cogwheel/v1/" in read(f)]
        self.check(problems)

    def test_no_file_sees_torch_and_the_wire(self):
        problems = [f for f, text in self.text.items() if TORCH.search(text) and WIRE.search(text)]
        problems += [f"{f}: torch in a room without it" for f, text in self.text.items()
                     if f.startswith(NO_TORCH_ROOMS) and TORCH.search(text)]
        self.check(problems)

    def test_no_cuda_switches_in_the_text(self):
        self.check([f for f, text in self.text.items()
                    if re.search(r"#\s*if.*(CUDA|NCCL)", text)])

    def test_banned_names_and_code(self):
        problems = [f"{f}: a name that says nothing" for f in self.code
                    if os.path.splitext(os.path.basename(f))[0] in BANNED_NAMES]
        for f, text in self.text.items():
            for pattern, why in BANNED_CODE.items():
                if "sleep" in pattern and f.startswith(SLEEP_ALLOWED):
                    continue
                problems += [f"{f}:{text[:m.start()].count(chr(10)) + 1}: {m.group(0)}: {why}"
                             for m in re.finditer(pattern, text)]
        self.check(problems)

    def test_exceptions_become_statuses_in_one_place(self):
        rooms = ("worker/pipeline/", "worker/families/", "worker/weights/", "worker/sequence/", "worker/comm/", "worker/journal/",
                 "worker/kernels/")
        # ... and where the thread of a world's sockets would end the process.
        allowed = ("worker/pipeline/failure.cc", "worker/comm/mailbox/socket_transport.cc")
        self.check([f for f, text in self.text.items() if f.startswith(rooms) and f not in allowed
                    and re.search(r"\bcatch \((?!const nlohmann)", text)])

    def test_every_source_is_built(self):
        lists = "".join(read(f) for f in self.files if f.endswith(("CMakeLists.txt", ".cmake")))
        self.check([f for f in self.code if f.endswith((".cc", ".cu"))
                    and os.path.basename(f) not in lists])

    def test_documents_name_what_exists(self):
        problems = []
        for document in ["ARCHITECTURE.md", *documents()]:
            for path in set(re.findall(r"`([A-Za-z0-9_.]+/[A-Za-z0-9_./-]+)`", read(document))):
                places = (ROOT, os.path.join(ROOT, os.path.dirname(document)))
                if not path.startswith(("build/", "jobs/", "org/name")) and not any(os.path.exists(os.path.join(p, path)) for p in places):
                    problems.append(f"{document}: {path}")
        self.assertLessEqual(read("ARCHITECTURE.md").count("\n"), 250)
        self.check(problems)

    def test_planted_bugs_fit_the_sources(self):
        sys.path.insert(0, os.path.join(ROOT, "tests", "faults"))
        from planted import PLANTS
        self.check([f"{path}: {read(path).count(old)} places for {old!r} ({bug})" for bug, edits, _ in PLANTS
                    for path, old, _ in edits if read(path).count(old) != 1])

    def test_no_large_files(self):
        self.check([f"{f}: {size} bytes" for f in self.files if not f.startswith("models/")
                    if (size := os.path.getsize(os.path.join(ROOT, f))) > MAX_FILE_BYTES])

    def test_images_and_notices_follow_setup(self):
        recipe, setup, install = read("Dockerfile"), read("scripts/setup"), read("docs/install.md")
        packages = set(re.search(r"^PACKAGES=\((.*?)\)", setup, re.S | re.M).group(1).split())
        problems = [f"NOTICE names {p}, which scripts/setup does not install" for p in
                    set(re.findall(r"[a-z0-9.+-]+-dev\b", read("NOTICE"))) - packages]
        # An image builds with what scripts/setup installs: a list of its own would fall behind.
        for command in re.findall(r"apt-get install(.*)", recipe):
            problems += [f"Dockerfile installs {p}" for p in re.findall(r"\S+-dev\b|\bg\+\+\S*|cmake|ninja\S*", command)]
        before = recipe[:recipe.index("RUN scripts/setup")]
        problems += [f"Dockerfile: {script} is not there when scripts/setup calls it" for script in
                     {"scripts/setup", *re.findall(r"scripts/[a-z.-]+(?=\"| \|$)", setup, re.M)} & set(self.files) - set(before.split())]
        for line in re.findall(r"^COPY (?!--from)(.*)", recipe, re.M):
            problems += [f"Dockerfile copies {path}, which is not there" for path in line.split()[:-1]
                         if not os.path.exists(os.path.join(ROOT, path))]
        problems += [f"docs/install.md: no command for the image {target}" for target in
                     re.findall(r"^FROM \S+ AS (\S+)", recipe, re.M)
                     if not target.startswith("build") and f"--target {target} " not in install]
        problems += [f"{f}: -Werror that a newer compiler meets" for f in ("CMakePresets.json", "cmake/Targets.cmake")
                     if "-Werror" in read(f)]
        self.check(problems)

    def test_scripts_parse(self):
        scripts = [f for f in self.files if f.startswith(("scripts/", ".ci/"))
                   and read(f).startswith("#!/usr/bin/env bash")]
        self.check([f for f in scripts if subprocess.run(["bash", "-n", os.path.join(ROOT, f)]).returncode])


if __name__ == "__main__":
    unittest.main()
