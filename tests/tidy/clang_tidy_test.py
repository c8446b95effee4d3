"""Holds the plain rooms to .clang-tidy: what it takes for a bug. Minutes long, so it is part of scripts/check --long.

It reads how each file is built from build/release/compile_commands.json. `clang_tidy_test.py [WORD...]` looks at the files whose
paths hold a word; $COGWHEEL_CLANG_TIDY names the program.
"""

import concurrent.futures
import os
import subprocess
import sys

import thread_safety_test

ROOT, BUILD = thread_safety_test.ROOT, thread_safety_test.BUILD
CLANG_TIDY = os.environ.get("COGWHEEL_CLANG_TIDY", "clang-tidy")


def problems_of(file):
    ran = subprocess.run([CLANG_TIDY, "-p", BUILD, "--quiet", "--extra-arg=-Wno-everything", file], cwd=ROOT, capture_output=True,
                         text=True)
    return ran.stdout if ran.returncode else ""


def main():
    files = thread_safety_test.files_of(sys.argv[1:])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(filter(None, pool.map(problems_of, files)))
    print("".join(found), end="")
    print(f"{len(files)} files, {len(found)} with problems")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
