"""Jobs as several callers would want them at once."""

from caller import in_threads
from stubs import pb

LONG_STEPS = 60  # about 0.6 s at the simulated 10 ms


def mixed(caller, name):
    """Starts four callers: a job that is watched, one that is only created, one that is cancelled while it runs, and
    one that is deleted when it has ended. The result joins them."""
    def watched():
        caller.watch(caller.create(f"{name}-watched", seed=1, prompt=name).name, include_video=True)

    def created():
        caller.create(f"{name}-created", seed=2, prompt=name)

    def cancelled():
        job = caller.create(f"{name}-cancelled", seed=3, prompt=name, steps=LONG_STEPS).name
        while caller.get(job).state == pb.QUEUED:
            pass
        caller.cancel(job)

    def deleted():
        job = caller.create(f"{name}-deleted", seed=4, prompt=name).name
        caller.watch(job)
        caller.delete(job)

    work = (watched, created, cancelled, deleted)
    return in_threads(len(work), lambda i: work[i]())
