"""A tenant that asks for all it can get: `noisy_tenant.py ADDRESS TOKEN KIND COUNT [MODEL]`.

KIND cancels makes jobs and cancels each; pictures makes jobs with pictures of almost 16 MiB; streams opens watchers on a job;
jobs asks for as many as are taken. Says "at it" when it has done so COUNT times, with how many were taken; jobs and streams go on.
"""

import io
import sys
import threading
import time

from caller import open_channel  # first: it says where the packages are

import grpc
from PIL import Image
from stubs import pb, rpc

THREADS, STREAMS_A_CHANNEL = 8, 128
PAUSE_S = 0.02
WIDTH, HEIGHT = 2_300, 2_400  # 16.6 MB without compression


class Tenant:
    def __init__(self, address, token, model):
        self.address, self.metadata, self.model = address, (("authorization", f"Bearer {token}"),), model
        self.taken, self.lock = 0, threading.Lock()

    def stub(self):
        return rpc.VideoServiceStub(open_channel(self.address, connect_ms=10_000))

    def request(self, **fields):
        return pb.CreateJobRequest(request=pb.GenerateRequest(prompt="a loud noise", steps=1, model=self.model,
                                                              output_type=pb.OUTPUT_TYPE_FRAMES, **fields))

    def create(self, stub, **fields):
        """The job, or None where it is refused."""
        try:
            job = stub.CreateJob(self.request(**fields), metadata=self.metadata, timeout=30)
        except grpc.RpcError:
            return None
        with self.lock:
            self.taken += 1
        return job

    def share(self, count, work):
        """Runs work(stub, own) for `count` pieces on some threads."""
        def run(first):
            stub = self.stub()
            for number in range(first, count, THREADS):
                work(stub, number)
        threads = [threading.Thread(target=run, args=(first,), daemon=True) for first in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def create_and_cancel(self, stub, number):
        while (job := self.create(stub, seed=number)) is None:
            time.sleep(PAUSE_S)
        try:
            stub.CancelJob(pb.CancelJobRequest(name=job.name), metadata=self.metadata, timeout=30)
        except grpc.RpcError:
            pass  # it has ended

    def open_streams(self, count):
        stub = self.stub()
        job = self.create(stub, seed=1).name
        streams = []
        for number in range(count):
            if number % STREAMS_A_CHANNEL == 0:
                stub = self.stub()
            streams.append(stub.WatchJob(pb.WatchJobRequest(name=job, include_video=True), metadata=self.metadata))
        return streams


def picture():
    """A PNG without compression, so that it is large and quickly made."""
    data = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(data, "PNG", compress_level=0)
    return data.getvalue()


def main(address, token, kind, count, model="sim"):
    tenant, count = Tenant(address, token, model), int(count)
    if kind == "cancels":
        tenant.share(count, tenant.create_and_cancel)
    elif kind == "pictures":
        image = picture()
        tenant.share(count, lambda stub, number: tenant.create(stub, seed=number, image=image))
    elif kind == "streams":
        kept = tenant.open_streams(count)
        print("at it", len(kept), flush=True)
        threading.Event().wait()
    elif kind == "jobs":
        stub, number = tenant.stub(), 0
        while True:
            if tenant.create(stub, seed=number) is None:
                time.sleep(PAUSE_S)
            number += 1
            if number == count:
                print("at it", tenant.taken, flush=True)
    print("at it", tenant.taken, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
