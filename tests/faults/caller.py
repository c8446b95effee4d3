"""A client that retries with its key and writes down every call."""

import threading
import time

from cluster import wait_until  # first: it says where the packages are

import grpc
from history import TERMINAL
from stubs import pb, rpc

RETRIED = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED", "UNKNOWN"}


def open_channel(address, connect_ms=200):
    """A channel with a connection of its own. `connect_ms` is how long one may take to stand, and the pause after one that
    was refused."""
    options = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", connect_ms),
               ("grpc.max_reconnect_backoff_ms", 200), ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    return grpc.insecure_channel(address, options=options)


class Caller:
    """Thread-safe. `limit_s` bounds each call with all its retries."""

    def __init__(self, address, history, limit_s=60, call_s=5):
        self.channel = open_channel(address)
        self.stub = rpc.VideoServiceStub(self.channel)
        self.history = history
        self.limit_s, self.call_s = limit_s, call_s

    def close(self):
        self.channel.close()

    def once(self, kind, method, request, **names):
        """(answer or None, outcome)"""
        operation = self.history.begin(kind, **names)
        try:
            answer = method(request, timeout=self.call_s)
        except grpc.RpcError as error:
            self.history.failed(error)
            outcome = error.code().name
            # Whether an unanswered call took effect is not known.
            operation.ended("unknown" if outcome in RETRIED else outcome)
            return None, outcome
        operation.ended("ok", answer)
        return answer, "ok"

    def call(self, kind, method, request, **names):
        """The answer, or None for an error that a retry does not change."""
        until = time.monotonic() + self.limit_s
        while True:
            answer, outcome = self.once(kind, method, request, **names)
            if outcome not in RETRIED:
                return answer
            if time.monotonic() > until:
                raise AssertionError(f"{kind} {names}: {outcome} for {self.limit_s} s")
            time.sleep(0.05)

    def request(self, key, prompt="a red circle", seed=1, output_type=pb.OUTPUT_TYPE_FRAMES, **fields):
        request = pb.GenerateRequest(prompt=prompt, seed=seed, output_type=output_type, request_id=key or "", **fields)
        if key:
            request.labels["key"] = key
        return request

    def create(self, key, **fields):
        request = pb.CreateJobRequest(request=self.request(key, **fields))
        return self.call("create", self.stub.CreateJob, request, key=key)

    def get(self, job):
        return self.call("get", self.stub.GetJob, pb.GetJobRequest(name=job), job=job)

    def cancel(self, job):
        return self.call("cancel", self.stub.CancelJob, pb.CancelJobRequest(name=job), job=job)

    def delete(self, job):
        return self.call("delete", self.stub.DeleteJob, pb.DeleteJobRequest(name=job), job=job)

    def list_all(self):
        jobs, token = [], ""
        while True:
            page = self.call("list", self.stub.ListJobs, pb.ListJobsRequest(page_size=1000, page_token=token))
            jobs += page.jobs
            token = page.next_page_token
            if not token:
                return jobs

    def watch(self, job, include_video=False):
        """Follows a job to its end through any number of broken streams; the terminal event's kind."""
        until, after = time.monotonic() + self.limit_s, 0
        while time.monotonic() < until:
            events = self.history.stream(job)
            try:
                request = pb.WatchJobRequest(name=job, after_sequence=after, include_video=include_video)
                for event in self.stub.WatchJob(request, timeout=self.limit_s):
                    events.append(event)
                    after = max(after, event.sequence)
                    if event.WhichOneof("event") in ("succeeded", "failed", "cancelled", "expired"):
                        return event.WhichOneof("event")
            except grpc.RpcError as error:
                if error.code().name not in RETRIED:
                    raise
            time.sleep(0.05)
        raise AssertionError(f"{job} has not ended within {self.limit_s} s")

    def download(self, job):
        """The whole result, resumed by offset where a stream breaks."""
        until, data = time.monotonic() + self.limit_s, b""
        while True:
            try:
                for chunk in self.stub.DownloadVideo(pb.DownloadVideoRequest(name=job, offset=len(data)), timeout=self.limit_s):
                    if chunk.data and chunk.offset != len(data):
                        raise AssertionError(f"{job}: a piece at {chunk.offset} instead of {len(data)}")
                    data += chunk.data
                    if chunk.last:
                        return data
            except grpc.RpcError as error:
                if error.code().name not in RETRIED or time.monotonic() > until:
                    raise
            time.sleep(0.05)

    def groups(self):
        """{name: group}, or nothing while the frontend is not there."""
        try:
            return {group.name: group for group in self.stub.ListGroups(pb.ListGroupsRequest(), timeout=2).groups}
        except grpc.RpcError:
            return {}

    def wait_group(self, limit_s=30, group="default", after_epoch=0):
        """The group once it is ready in a later epoch."""
        def ready():
            found = self.groups().get(group)
            return found if found is not None and found.ready and found.epoch > after_epoch else None
        return wait_until(ready, limit_s, f"group {group} is ready after epoch {after_epoch}")

    def wait_ended(self, jobs, limit_s=60):
        """{name: Job} when all have ended."""
        until = time.monotonic() + limit_s
        found = {}
        for job in jobs:
            while True:
                found[job] = self.get(job)
                if found[job] is None or found[job].state in TERMINAL:
                    break
                if time.monotonic() > until:
                    raise AssertionError(f"{job} has not ended within {limit_s} s: {pb.JobState.Name(found[job].state)}")
                time.sleep(0.05)
        return found


def in_threads(count, work):
    """Runs work(0) ... work(count - 1) side by side; the first failure is raised."""
    failures, threads = [], []

    def run(i):
        try:
            work(i)
        except BaseException as failure:  # noqa: BLE001: raised by the caller's thread
            failures.append(failure)
    for i in range(count):
        threads.append(threading.Thread(target=run, args=(i,), daemon=True))
        threads[-1].start()

    def join(limit_s):
        until = time.monotonic() + limit_s
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if failures:
            raise failures[0]
        if any(thread.is_alive() for thread in threads):
            raise AssertionError(f"callers have not ended within {limit_s} s")
    return join
