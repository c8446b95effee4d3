#!/usr/bin/env python3
"""Records what the ranks of a released worker and its frontend say to each other for one short job.

    record.py BIN OUT    BIN: a folder with the release's three programs; OUT: the file to write

A proxy between the two keeps every message as it is on the wire, in the order in which they passed. OUT is a row of
records: 'R' (a rank says) or 'F' (the frontend says), the rank's number (order of arrival) as one byte, and the message
with its length in front as a varint. Run it in a UTS namespace of its own, so that the host's name is no secret:
    unshare --uts sh -c 'hostname recorded && tests/support/conversations/record.py BIN OUT'
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.environ.get("COGWHEEL_TOOLS") or os.path.expanduser("~/.cache/cogwheel/pytools"))

import grpc  # noqa: E402

JOIN = "/cogwheel.internal.v1.RankControl/Join"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


class Recorder(grpc.GenericRpcHandler):
    def __init__(self, frontend):
        self.join = grpc.insecure_channel(frontend).stream_stream(JOIN)
        self.lock, self.records, self.ranks = threading.Lock(), [], 0

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self.pass_on) if details.method == JOIN else None

    def keep(self, who, rank, messages):
        for message in messages:
            with self.lock:
                self.records.append(who + bytes([rank]) + varint(len(message)) + message)
            yield message

    def pass_on(self, said, context):
        with self.lock:
            rank, self.ranks = self.ranks, self.ranks + 1
        yield from self.keep(b"F", rank, self.join(self.keep(b"R", rank, said)))


def start(*argv):
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return child, json.loads(child.stdout.readline())


def main():
    bin_dir, out = sys.argv[1:]
    data = tempfile.mkdtemp(prefix="cogwheel-record-")
    server, line = start(f"{bin_dir}/cogwheel-server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                         "--data-dir", data)
    recorder = Recorder(line["listen"])
    proxy = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[recorder])
    port = proxy.add_insecure_port("127.0.0.1:0")
    proxy.start()
    worker, _ = start(f"{bin_dir}/cogwheel-worker", "--frontend", f"127.0.0.1:{port}", "--model", f"{ROOT}/models/shapes",
                      "--ranks", "2", "--ulysses", "2")
    try:
        subprocess.run([f"{bin_dir}/cogwheel", "generate", "--server", line["listen"], "--prompt", "a red circle",
                        "--frames", "9", "--height", "64", "--width", "64", "--steps", "3", "--seed", "11",
                        "--output", f"{data}/out.mp4"], check=True, timeout=300)
    finally:
        with recorder.lock:
            records = list(recorder.records)
        for child in (worker, server):
            child.terminate()
            child.wait(30)
        proxy.stop(None)
    with open(out, "wb") as f:
        f.write(b"".join(records))


if __name__ == "__main__":
    main()
