"""How long a server's dispatcher takes for a turn of its loop: loop_turns.c, preloaded, counts them."""

import os
import struct

from support import BIN

FORM = "<5Q"  # struct Turns


class LoopTurns:
    def __init__(self, case):
        self.file = case.path("loop-turns")
        self.forget()
        self.library = os.path.join(BIN, "libloop_turns.so")
        self.environment = {"LOOP_TURNS": self.file}

    def forget(self):
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as f:
            f.write(bytes(struct.calcsize(FORM)))

    def read(self):
        """{what: how often or how long}"""
        with open(self.file, "rb") as f:
            count, beyond_5_ms, beyond_50_ms, longest_ns, in_run_queue_ns = struct.unpack(FORM, f.read())
        return {"turns": count, "beyond_5_ms": beyond_5_ms, "beyond_50_ms": beyond_50_ms, "longest_ms": round(longest_ns / 1e6, 2),
                "in_run_queue_s": round(in_run_queue_ns / 1e9, 3)}
