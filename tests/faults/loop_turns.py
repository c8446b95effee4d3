"""How long a server's dispatcher takes for a turn of its loop, beside how long its thread only stood in the run queue."""

import os
import threading

THREAD = "dispatcher"
METRIC = "cogwheel_dispatch_loop_lag_seconds"
WINDOW_S = 0.5


class LoopTurns:
    """Reads the histogram of turns and the thread's schedstat twice a second until it is closed."""

    def __init__(self, frontend):
        self.frontend = frontend
        self.schedstat = next(path for path in self.thread_folders() if self.read(path, "comm").strip() == THREAD) + "/schedstat"
        self.give_way()
        self.windows, self.closing = [], threading.Event()
        self.last = self.now()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def thread_folders(self):
        folder = f"/proc/{self.frontend.pid}/task"
        return [os.path.join(folder, thread) for thread in os.listdir(folder)]

    @staticmethod
    def read(folder, name):
        with open(os.path.join(folder, name)) as f:
            return f.read()

    def give_way(self):
        """Where it may: the loop goes before all else on this machine, so that what it waits for is its own."""
        try:
            os.sched_setscheduler(int(self.schedstat.split("/")[-2]), os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass

    def now(self):
        """({upper bound: turns of at most that}, seconds in the run queue)"""
        turns = {float(dict(labels)["le"]): count for (name, labels), count in self.frontend.metrics().items()
                 if name == METRIC + "_bucket"}
        with open(self.schedstat) as f:
            return turns, int(f.read().split()[1]) / 1e9

    def follow(self):
        while not self.closing.wait(WINDOW_S):
            now = self.now()
            turns = {bound: count - self.last[0].get(bound, 0) for bound, count in now[0].items()}
            self.windows.append((turns, now[1] - self.last[1]))
            self.last = now

    def close(self):
        self.closing.set()
        self.thread.join()

    def total(self):
        return sum(turns[float("inf")] for turns, _ in self.windows)

    def beyond(self, limit_s):
        """Turns longer than that, less those that the run queue explains."""
        slow = 0
        for turns, waited_s in self.windows:
            count = turns[float("inf")] - turns[limit_s]
            slow += max(0, count - int(waited_s / limit_s))
        return int(slow)

    def waited_s(self):
        return sum(waited for _, waited in self.windows)
