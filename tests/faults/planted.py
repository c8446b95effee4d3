#!/usr/bin/env python3
"""Plants bugs into a copy of the tree and shows that the tests see each of them: `planted.py [WORD...]`.

Builds in a folder of the cache, so that a second run is quick. Fails if a bug goes unseen.
"""

import os
import shutil
import subprocess
import sys

from cluster import HERE

ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
COPY = os.path.join(os.environ.get("COGWHEEL_CACHE") or os.path.expanduser("~/.cache/cogwheel"), "planted")
WRITER, STORE, FILES = "server/store/sqlite/store_writer.cc", "server/store/sqlite/sqlite_job_store.cc", "server/store/files/durable_files.cc"
KEYS, JOBS = "server/store/sqlite/key_table.cc", "server/store/sqlite/job_table.cc"
# (bug, edits as (file, old, new), test)
PLANTS = (
    ("acknowledge before the commit",
     ((WRITER, "      write.done(std::move(write.status));  // nothing of it stays with this thread\n", ""),
      (WRITER, '    Failpoint("store.before_commit");\n',
       '    for (Write& write : batch) write.done(write.status);\n    Failpoint("store.before_commit");\n')),
     ("r01_failpoints", {"R01_ONLY": "store.before_commit"})),
    ("commit without the epoch check",
     ((JOBS, "job->epoch == epoch && job->attempt == attempt", "epoch >= 0 && attempt >= 0"),), "server_store_test"),
    ("retry a failed sync",
     ((FILES, "if (fsync(fd) != 0)", "if (fsync(fd) != 0 && fsync(fd) != 0)"),), ("r04_failed_sync", {})),
    ("forget the idempotency key",
     ((KEYS, '  if (!*row) return std::nullopt;\n  if (key.Text(1) != hash)', '  if (*row || !*row) return std::nullopt;\n  if (key.Text(1) != hash)'),
      (KEYS, "INSERT INTO keys", "INSERT OR REPLACE INTO keys")), ("r14_duplicates", {})),
    ("leave running jobs as they are at a restart", ((JOBS, "attempt + 1 WHERE state < 2", "attempt + 1 WHERE state < 1"),),
     ("kills", {})),
)


def copy_tree():
    os.makedirs(COPY, exist_ok=True)
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, files):
        source, target = os.path.join(ROOT, name), os.path.join(COPY, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copy(source, target)


def build(*targets):
    subprocess.run([os.path.join(COPY, "scripts", "build"), "release", *targets], cwd=COPY, check=True, stdout=subprocess.DEVNULL)


def passes(test):
    """The test's verdict over what is built in the copy."""
    binaries = os.path.join(COPY, "build", "release")
    if isinstance(test, str):
        build(test)
        argv, environment = [os.path.join(binaries, "tests", test)], {}
    else:
        build("cogwheel-server-faults", "cogwheel-sim-worker", "disk_faults")
        name, environment = test
        argv = [sys.executable, os.path.join(COPY, "tests", "faults", f"{name}_test.py")]
    result = subprocess.run(argv, env={**os.environ, "COGWHEEL_BIN": os.path.join(binaries, "bin"), **environment},
                            capture_output=True, text=True)
    if result.returncode:
        last = [line for line in (result.stdout + result.stderr).splitlines() if "Broken: " in line or "[  FAILED  ]" in line]
        print(f"    {last[0][:150] if last else result.stderr.splitlines()[-1]}")
    return result.returncode == 0


def plant(edits):
    for path, old, new in edits:
        with open(os.path.join(COPY, path)) as f:
            text = f.read()
        if text.count(old) != 1:
            raise SystemExit(f"{path}: {text.count(old)} places for {old!r}")
        with open(os.path.join(COPY, path), "w") as f:
            f.write(text.replace(old, new))


def main(words):
    unseen = []
    for bug, edits, test in PLANTS:
        if words and not any(word in bug for word in words):
            continue
        copy_tree()
        plant(edits)
        name = test if isinstance(test, str) else test[0]
        seen = not passes(test)
        print(f"{'seen' if seen else 'UNSEEN'} by {name}: {bug}", flush=True)
        if not seen:
            unseen.append(bug)
    copy_tree()
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
