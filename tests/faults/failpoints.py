"""The failpoints of the frontend, each with what makes a server pass it (r01_failpoints_test.py provides it)."""

import os
import re

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

# "jobs": jobs that are created, cancelled and deleted. "rank": a rank dies in a job. "start": the process starts with
# jobs that had not ended. "drain": SIGTERM while a job runs.
FRONTEND = {
    "intake.before_store": "jobs",
    "intake.after_store": "jobs",
    "intake.before_ack": "jobs",
    "dispatch.before_claim": "jobs",
    "dispatch.after_claim": "jobs",
    "dispatch.before_run": "jobs",
    "dispatch.after_run": "jobs",
    "dispatch.after_cancel_flag": "jobs",
    "dispatch.before_finish": "jobs",
    "dispatch.after_finish": "jobs",
    "dispatch.before_requeue": "rank",
    "dispatch.after_requeue": "rank",
    "group.before_epoch": "jobs",
    "group.after_epoch": "jobs",
    "group.formed": "jobs",
    "group.after_start": "jobs",
    "result.after_append": "jobs",
    "result.before_sync": "jobs",
    "result.after_sync": "jobs",
    "result.after_rename": "jobs",
    "store.before_commit": "jobs start",
    "store.after_commit": "jobs start",
}

# How often a few jobs pass a failpoint: once, or the number here.
PASSES = {"intake.before_store": 4, "intake.after_store": 4, "intake.before_ack": 4, "dispatch.before_claim": 4,
          "dispatch.after_claim": 4, "dispatch.before_run": 4, "dispatch.after_run": 4, "dispatch.before_finish": 3,
          "dispatch.after_finish": 3, "group.after_start": 3, "result.after_append": 3, "result.before_sync": 3,
          "result.after_sync": 3, "result.after_rename": 3, "store.before_commit": 12, "store.after_commit": 12}

# Of the ranks, in the order of a job's life.
RANKS = ("rank.load", "rank.warm_up", "rank.join", "rank.broadcast", "rank.text", "rank.step", "rank.decode", "rank.stream")


def in_sources():
    """Every name that the tree passes."""
    found = set()
    for room in ("server", "worker", "tests/faults"):
        for folder, _, names in os.walk(os.path.join(ROOT, room)):
            for name in names:
                if name.endswith(".cc"):
                    with open(os.path.join(folder, name)) as f:
                        found |= set(re.findall(r'\bFailpoint\("([a-z_.]+)"\)', f.read()))
    return found
