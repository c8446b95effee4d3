"""How long a run is: short in scripts/test, long in scripts/faults --long; and where its figures go."""

import json
import os
import time

LONG = os.environ.get("FAULTS_LONG") == "1"
FIRST_SEED = int(os.environ.get("FAULTS_SEED") or (int(time.time()) if LONG else 1))
OUT = os.environ.get("FAULTS_OUT")


def choose(short, long):
    return long if LONG else short


def seeds(short=3, long=20):
    return range(FIRST_SEED, FIRST_SEED + choose(short, long))


def record(run, **figures):
    """One line of JSON: shown, and kept in the results' folder."""
    line = json.dumps({"run": run, "long": LONG, **figures})
    print(line, flush=True)
    if OUT:
        with open(os.path.join(OUT, f"{run}.jsonl"), "a") as f:
            f.write(line + "\n")
