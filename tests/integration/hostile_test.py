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
SOON_S = 5
SHORTEST_PING_S = 5  # server/api/grpc_server.cc
HALF_OPEN = 4000


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


class HalfOpen:
    """A connection whose every call sends all of its request but the last byte, as fast as flow control lets it."""

    STREAMS, SIZE, PIECE = 250, 17 << 20, 16384

    def __init__(self, connected):
        self.socket, self.alive, self.sent = connected, True, 0
        self.socket.setblocking(False)
        self.input, self.output = b"", bytearray(PREFACE + frame(SETTINGS))
        self.initial, self.window = 65535, {0: 65535}
        self.left = {}
        for stream in range(1, 2 * self.STREAMS, 2):
            self.output += frame(HEADERS, END_HEADERS, stream, call_headers(b"CreateJob"))
            self.output += frame(DATA, 0, stream, message(b"", length=self.SIZE))
            self.window[stream], self.left[stream] = self.initial - 5, self.SIZE - 1
            self.window[0] -= 5

    def turn(self):
        """What comes and goes without waiting."""
        try:
            while self.alive and (piece := self.socket.recv(65536)):
                self.input += piece
                self.read()
        except BlockingIOError:
            pass
        except OSError:
            self.alive = False
        self.fill()
        try:
            while self.alive and self.output:
                del self.output[:self.socket.send(self.output)]
        except BlockingIOError:
            pass
        except OSError:
            self.alive = False

    def read(self):
        while len(self.input) >= 9 and len(self.input) >= (end := 9 + int.from_bytes(self.input[:3], "big")):
            kind, flags, body = self.input[3], self.input[4], self.input[9:end]
            stream = int.from_bytes(self.input[5:9], "big")
            self.input = self.input[end:]
            if kind == SETTINGS and not flags & ACK:
                given = dict(struct.iter_unpack(">HI", body))
                change = given.get(4, self.initial) - self.initial  # SETTINGS_INITIAL_WINDOW_SIZE
                self.initial += change
                self.window = {key: size + (change if key else 0) for key, size in self.window.items()}
                self.output += frame(SETTINGS, ACK)
            elif kind == WINDOW:
                self.window[stream] = self.window.get(stream, 0) + int.from_bytes(body, "big")
            elif kind == PING and not flags & ACK:
                self.output += frame(PING, ACK, 0, body)
            elif kind in (RST, HEADERS):
                self.left.pop(stream, None)

    def fill(self):
        for stream in list(self.left):
            size = min(self.PIECE, self.window[0], self.window[stream], self.left[stream])
            if len(self.output) > 1 << 18 or self.window[0] <= 0:
                return
            if size > 0:
                self.output += frame(DATA, 0, stream, bytes(size))
                for where in (0, stream):
                    self.window[where] -= size
                self.left[stream] -= size
                self.sent += size


class HostileTest(ProcessTest):
    def setUp(self):
        super().setUp()
        # Another name, and so another port for ranks: as where strangers come.
        self.server = self.start_child("cogwheel-server", "--listen", "127.0.0.1:0", "--internal-listen", "localhost:0",
                                       "--admin-listen", "127.0.0.1:0", "--data-dir", self.path("data"))
        ready = self.server.ready_line()
        self.address = ready["listen"]
        self.start_worker(ready["internal"], 1, 1, 1, SHAPES)
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
        before = self.resident()
        crowd = [self.connect() for _ in range(500)]
        begin = time.monotonic()
        self.serves("500 silent connections")
        self.assertLess(time.monotonic() - begin, SOON_S)
        self.assertLess(self.resident() - before, GROWTH_LIMIT_BYTES)
        for peer in crowd:
            peer.close()
        self.serves("they have left")
        wait_until(lambda: self.sockets() < 50, 10, "none of them is held on to")

    def sockets(self):
        fds = f"/proc/{self.server.process.pid}/fd"
        return sum(os.readlink(os.path.join(fds, fd)).startswith("socket:") for fd in os.listdir(fds))

    def test_who_pings_every_10_s_is_let_be(self):
        """So do many libraries and proxies, with calls and without. Three pings too early in a row end a connection: four
        pings, a little further apart than the shortest interval, tell as much as any number."""
        call = self.stub.Generate(pb.GenerateRequest(prompt="a red circle", steps=200, seed=1))
        with self.connect() as idle, self.connect() as waiting:
            idle.sendall(PREFACE + frame(SETTINGS))
            job = pb.WatchJobRequest(name=next(call).job).SerializeToString()
            waiting.sendall(opened(1, b"WatchJob") + frame(DATA, END_STREAM, 1, message(job)))
            for _ in range(4):
                for peer in (idle, waiting):
                    peer.sendall(frame(PING, 0, 0, bytes(8)))
                time.sleep(SHORTEST_PING_S + 0.2)
            for what, peer in (("idle", idle), ("waiting", waiting)):
                peer.settimeout(1)
                data = b""
                try:
                    while piece := peer.recv(65536):
                        data += piece
                except TimeoutError:
                    pass
                self.assertNotIn(GOAWAY, answers(data), what)
                self.assertIn(PING, answers(data), what)
        call.cancel()

    def test_thousands_of_half_open_requests(self):
        """Each claims 17 MiB and sends as much as it may, before anybody knows who it is."""
        peers = [HalfOpen(self.connect()) for _ in range(HALF_OPEN // HalfOpen.STREAMS)]
        self.addCleanup(lambda: [peer.socket.close() for peer in peers])
        until, top = time.monotonic() + 20, 0
        while time.monotonic() < until:
            for peer in peers:
                peer.turn()
            top = max(top, self.resident())
        print(f"{HALF_OPEN} half-open requests: {top >> 20} MiB resident at most, {sum(p.sent for p in peers) >> 20} MiB sent")
        self.assertLess(top, 1 << 30)
        self.serves("half-open requests")

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
