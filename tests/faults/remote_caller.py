"""A caller in a process of its own, to be stopped or killed: `remote_caller.py ADDRESS KIND COUNT NAME [BYTES]`.

KIND unary asks for a job over and over; download and watch read BYTES of a result on each of COUNT connections and then take
nothing more. Says "at it" once all are there.
"""

import sys
import time

from caller import open_channel
from stubs import pb, rpc


def begin(stub, kind, name):
    if kind == "download":
        return stub.DownloadVideo(pb.DownloadVideoRequest(name=name))
    return stub.WatchJob(pb.WatchJobRequest(name=name, include_video=True))


def main(address, kind, count, name, bytes_first="1"):
    connections = [(rpc.VideoServiceStub(open_channel(address, ("caller", i)))) for i in range(int(count))]
    streams = []
    if kind != "unary":
        for stub in connections:
            streams.append(begin(stub, kind, name))
        for stream in streams:
            taken = 0
            while taken < int(bytes_first):
                message = next(stream)
                taken += max(1, message.ByteSize())
    print("at it", flush=True)
    while True:
        if kind == "unary":
            for stub in connections:
                stub.GetJob(pb.GetJobRequest(name=name))
        else:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
