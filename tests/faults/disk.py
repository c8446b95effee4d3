"""A data directory on a bad disk: disk_faults.c, preloaded into a server, obeys the rules that are set here."""

import os

from support import BIN


class Disk:
    """Healthy at first. Set `data`, the server's data directory, once it is known."""

    def __init__(self, case):
        self.rules = case.path("disk-faults")
        self.data = None
        self.heals()
        self.environment = {"LD_PRELOAD": os.path.join(BIN, "libdisk_faults.so"), "DISK_FAULTS": self.rules}

    def does(self, *rules):
        """Each rule is (call, path below the data directory, action, value[, skip, times])."""
        lines = []
        for call, path, action, value, *times in rules:
            skip, most = times or (0, 0)
            lines.append(f"{call} {self.data}{path} {action} {value} {skip} {most}\n")
        with open(self.rules + ".new", "w") as f:
            f.write("".join(lines))
        os.replace(self.rules + ".new", self.rules)

    def heals(self):
        self.does()
