"""A caller in a process of its own, to be stopped or killed: `remote_caller.py ADDRESS KIND COUNT NAME`.

KIND unary asks for a job over and over on each of COUNT connections; download and watch read its result, a piece of each
stream in turn. Says "at it" once all have had an answer.
"""

import sys
import time

from caller import open_channel
from stubs import pb, rpc

PAUSE_S = 0.05


def begin(stub, kind, name):
    if kind == "download":
        return stub.DownloadVideo(pb.DownloadVideoRequest(name=name))
    return stub.WatchJob(pb.WatchJobRequest(name=name, include_video=True))


def main(address, kind, count, name):
    stubs = [rpc.VideoServiceStub(open_channel(address, connect_ms=10_000)) for i in range(int(count))]
    streams = [] if kind == "unary" else [begin(stub, kind, name) for stub in stubs]
    told = False
    while True:
        for stub in stubs if kind == "unary" else ():
            stub.GetJob(pb.GetJobRequest(name=name))
        for stream in streams:
            next(stream)
        if not told:
            print("at it", flush=True)
        told = True
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
