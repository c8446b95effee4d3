"""When a rank was hit and what became of its group, from the failpoint's mark and the server's log."""

import datetime
import json
import os
import time

from cluster import wait_until


def read_mark(path, limit_s):
    """(failpoint, pid, time.monotonic() of the hit), once there is one."""
    def whole():
        if not os.path.exists(path):
            return None
        with open(path) as f:
            words = f.read().split()
        return words if len(words) == 3 else None
    name, pid, nanoseconds = wait_until(whole, limit_s, f"{path} is hit")
    return name, int(pid), int(nanoseconds) * 1e-9


def log_lines(path, message, since):
    """(time.monotonic(), fields) of the lines with this message that were written after `since`."""
    offset = time.time() - time.monotonic()
    found = []
    with open(path, errors="replace") as f:
        for line in f:
            if f'"{message}"' not in line:
                continue
            fields = json.loads(line)
            when = datetime.datetime.fromisoformat(fields["time"].replace("Z", "+00:00")).timestamp() - offset
            if when >= since:
                found.append((when, fields))
    return found


def first_line(path, message, since, limit_s):
    """Seconds from `since` to the first such line."""
    lines = wait_until(lambda: log_lines(path, message, since), limit_s, f"the server logs {message!r}")
    return lines[0][0] - since
