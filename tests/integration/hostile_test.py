"""Peers that mean harm, or are broken: after each the server still serves, and at the end it has grown little."""

import os
import re
import socket
import struct
import time
import unittest

from support import SHAPES, ProcessTest, wait_until

from http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST, SETTINGS, WINDOW,
                   call_headers, frame, header, message)

import grpc
import stubs
from stubs import pb, rpc

GROWTH_LIMIT_BYTES = 64 << 20


def opened(stream=1, method=b"GetJob", *more):
    return PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, stream, call_headers(method, *more))


# What is written to a fresh connection, which is then read for a moment and closed. WAIT stands where the server's
# settings must have come: they bind from their acknowledgement on, and one that comes before them acknowledges nothing.
WAIT = b"\0wait for the settings\0"
RAW = {
    "random bytes": os.urandom(65536),
    "a request of HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS greeting": bytes.fromhex("160301020001000001fc0303") + bytes(512),
    "half a preface": PREFACE[:10],
    "a preface and silence": PREFACE,
    "no settings": PREFACE + frame(PING, 0, 0, bytes(8)),
    "settings of a wrong size": PREFACE + frame(SETTINGS, 0, 0, bytes(5)),
    "settings on a stream": PREFACE + frame(SETTINGS, 0, 1),
    "a window of nothing": PREFACE + frame(SETTINGS) + frame(WINDOW, 0, 0, bytes(4)),
    "windows that overflow": PREFACE + frame(SETTINGS) + frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
    "a frame that claims 16 MiB": PREFACE + frame(SETTINGS) + b"\xff\xff\xff" + bytes([DATA, 0, 0, 0, 0, 1]),
    "a frame of an unknown kind": PREFACE + frame(SETTINGS) + frame(0xEE, 0xFF, 7, bytes(100)),
    "data before headers": PREFACE + frame(SETTINGS) + frame(DATA, END_STREAM, 1, message(b"")),
    "an even stream": PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 2, call_headers()),
    "headers that do not decode": PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, b"\xff" * 200),
    "endless continuations": PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, call_headers())
                             + frame(CONTINUATION, 0, 1, header(b"x", b"y" * 1000)) * 200,
    "more headers after their end": opened(1, b"GetJob", (b"x", b"y" * 8000))
                                    + frame(CONTINUATION, END_HEADERS, 1, header(b"x", b"y" * 16000)),
    "metadata beyond the limit": PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, call_headers()) + b"".join(
        frame(CONTINUATION, END_HEADERS if k == 4 else 0, 1, header(b"x%d" % k, b"y" * 4000)) for k in range(5))
        + frame(DATA, END_STREAM, 1, message(b"")),
    "no method at all": opened(1, b""),
    "a method of another service": PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS | END_STREAM, 1,
                                                                     call_headers(b"../../etc/passwd")),
    "a message longer than it is": opened() + frame(DATA, END_STREAM, 1, message(b"ab", length=10)),
    "a message that claims 4 GiB": opened() + frame(DATA, 0, 1, message(b"ab", length=0xFFFFFFFF)),
    "compressed without saying how": opened() + frame(DATA, END_STREAM, 1, message(b"ab", compressed=1)),
    "an unknown compression flag": opened() + frame(DATA, END_STREAM, 1, message(b"ab", compressed=77)),
    "no protobuf": opened(1, b"CreateJob") + frame(DATA, END_STREAM, 1, message(b"\xff" * 1000)),
    "a deadline that is none": opened(1, b"GetJob", (b"grpc-timeout", b"-1S")) + frame(DATA, END_STREAM, 1, message(b"")),
    "streams opened and reset": PREFACE + frame(SETTINGS) + b"".join(
        frame(HEADERS, END_HEADERS, s, call_headers(b"Generate")) + frame(RST, 0, s, struct.pack(">I", 8))
        for s in range(1, 2001, 2)),
    "a flood of pings": PREFACE + frame(SETTINGS) + frame(PING, 0, 0, bytes(8)) * 5000,
    "a flood of settings": PREFACE + frame(SETTINGS) * 5000,
    "streams beyond the limit": PREFACE + frame(SETTINGS) + WAIT + frame(SETTINGS, ACK) + b"".join(
        frame(HEADERS, END_HEADERS, s, call_headers(b"Generate")) for s in range(1, 1201, 2)),
    "a goodbye first": PREFACE + frame(SETTINGS) + frame(GOAWAY, 0, 0, bytes(8)),
}

# Where it matters what the server says: a gRPC status, a kind of frame, or that it hangs up.
CLOSED, ANSWER_LIMIT_S = "closed", 10
INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = b"3", b"8", b"12"
ANSWERS = {
    "random bytes": CLOSED, "a request of HTTP/1.1": CLOSED, "a TLS greeting": CLOSED, "no settings": CLOSED,
    "settings of a wrong size": CLOSED, "settings on a stream": CLOSED, "a window of nothing": CLOSED,
    "a frame that claims 16 MiB": CLOSED, "headers that do not decode": CLOSED, "more headers after their end": CLOSED,
    "metadata beyond the limit": RESOURCE_EXHAUSTED, "no method at all": UNIMPLEMENTED,
    "a method of another service": UNIMPLEMENTED, "no protobuf": INVALID_ARGUMENT, "a flood of pings": GOAWAY,
    "streams beyond the limit": RST,
}


def answers(data):
    """What of ANSWERS' values is in these bytes of the server."""
    found = set()
    while len(data) >= 9:
        end = 9 + int.from_bytes(data[:3], "big")
        found.add(data[3])
        found |= {one or two for one, two in re.findall(rb"grpc-status(?:\x01(\d)|\x02(\d\d))", data[9:end])}
        data = data[end:]
    return found


class HostileTest(ProcessTest):
    def setUp(self):
        super().setUp()
        self.server, self.address = self.start_server()
        self.start_worker(self.address, 1, 1, 1, SHAPES)
        self.wait_healthy(self.address)
        channel, self.stub = stubs.connect(self.address)
        self.addCleanup(channel.close)
        self.serves("at first")

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=10)

    def serves(self, after):
        """Those who are connected, and who comes now."""
        self.stub.ListModels(pb.ListModelsRequest(), timeout=10)
        with grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            rpc.VideoServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10)
        self.assertIsNone(self.server.process.poll(), after)

    def resident(self):
        with open(f"/proc/{self.server.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def write_raw(self, payload, expected=None):
        """True when the expected answer came; without one it listens for a moment."""
        data, quiet_s = b"", 0.2 if expected is None else ANSWER_LIMIT_S
        before, _, after = payload.rpartition(WAIT)
        with self.connect() as peer:
            try:
                peer.sendall(before)
                while before and SETTINGS not in answers(data):
                    data += peer.recv(65536)
                peer.sendall(after)
                peer.settimeout(quiet_s)
                while piece := peer.recv(65536):
                    data += piece
                    if expected in answers(data):
                        return True
            except TimeoutError:
                return False
            except OSError:
                pass  # cut off
            return expected == CLOSED

    def test_raw_peers(self):
        self.assertGreaterEqual(len(RAW), 30)
        self.write_raw(RAW["streams opened and reset"])  # what the libraries keep for good
        before = self.resident()
        for what, payload in RAW.items():
            expected = ANSWERS.get(what)
            self.assertEqual(expected is not None, self.write_raw(payload, expected), what)
            self.serves(what)
        self.assertLess(self.resident() - before, GROWTH_LIMIT_BYTES)

    def test_a_crowd_that_says_nothing(self):
        crowd = [self.connect() for _ in range(500)]
        self.serves("500 silent connections")
        for peer in crowd:
            peer.close()
        self.serves("they have left")

    def test_callers_that_leave_in_the_middle(self):
        for i in range(50):
            call = self.stub.Generate(pb.GenerateRequest(prompt="a red circle", steps=200, seed=i))
            next(call)
            call.cancel()
        wait_until(lambda: self.stub.GetGroup(pb.GetGroupRequest(name="default"), timeout=10).running_job == "", 60, "free")
        self.serves("50 callers that left")

    def test_a_message_beyond_the_limit(self):
        big = pb.GenerateRequest(prompt="p", image=bytes(18 << 20))
        with self.assertRaises(grpc.RpcError) as refused:
            self.stub.CreateJob(pb.CreateJobRequest(request=big), timeout=30)
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, refused.exception.code())
        self.serves("18 MiB")

    def test_a_trickle(self):
        with self.connect() as peer:
            for byte in PREFACE + frame(SETTINGS):
                peer.sendall(bytes([byte]))
                time.sleep(0.001)  # slower than any real peer
            self.serves("a trickle")


if __name__ == "__main__":
    unittest.main()
