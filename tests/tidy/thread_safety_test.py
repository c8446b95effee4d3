"""Holds the plain rooms to their thread annotations (base/mutex.h): clang's analysis, which g++ does not have.

Only parsed, not compiled: it reads how each file is built from build/release/compile_commands.json, so it runs after the
build, as in `scripts/test tidy`. Rooms with torch are left out: ATen's headers would take ten times as long, and those rooms
have one thread. `thread_safety_test.py [WORD...]` looks at the files whose paths hold a word.
"""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build", "release")
PLAIN = ("base/", "proto/contract/", "server/", "client/", "worker/comm/", "worker/journal/", "worker/launch/", "worker/media/",
         "worker/metrics/", "worker/rank/", "worker/rpc/", "worker/doctor/", "worker/main.cc", "worker/diagnosis.cc", "worker/rank_process.cc",
         "worker/settings.cc")
CLANG = os.environ.get("COGWHEEL_CLANG", "clang++")


def parse_only(entry):
    arguments = shlex.split(entry["command"])
    compiler = next(i for i, word in enumerate(arguments) if re.search(r"(\+\+|/cc)(-\d+)?$", word))
    kept, skip = [], False
    for word in arguments[compiler + 1:]:
        if skip or word in ("-c", "-o"):
            skip = word == "-o"
        elif word not in ("-Werror",):
            kept.append(word)
    return [CLANG, *kept, "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror=thread-safety"]


def problems_of(entry):
    ran = subprocess.run(parse_only(entry), cwd=entry["directory"], capture_output=True, text=True)
    return ran.stderr if ran.returncode or ran.stderr else ""


def files_of(words):
    """{file of a plain room: how it is built}, of those whose paths hold a word."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as f:
        entries = {os.path.relpath(entry["file"], ROOT): entry for entry in json.load(f)}
    return {file: entries[file] for file in sorted(entries)
            if file.startswith(PLAIN) and (not words or any(word in file for word in words))}


def main():
    files = files_of(sys.argv[1:])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(filter(None, pool.map(problems_of, files.values())))
    print("".join(found), end="")
    print(f"{len(files)} files, {len(found)} with problems")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
