"""Requests that never end: `half_open.py ADDRESS COUNT BYTES [TOKEN]` opens COUNT calls of CreateJob on few connections, and sends
of each all but the last byte of a message of BYTES, as far as the server's windows let it. Says "at it" once it gets no further."""

import os
import selectors
import socket
import struct
import sys
import time

from cluster import HERE

sys.path.insert(0, os.path.join(HERE, "..", "integration"))
from http2 import (ACK, DATA, END_HEADERS, FRAME_HEAD_BYTES, GOAWAY, HEADERS, PING, PREFACE, RST, SETTINGS, WINDOW,  # noqa: E402
                   call_headers, frame, message)

CALLS_A_CONNECTION = 250
PIECE_BYTES = 16_384
FIRST_WINDOW_BYTES = 65_535  # RFC 9113, section 6.9.2
INITIAL_WINDOW_SIZE = 4
QUIET_S = 2.0
KEPT_BYTES = 1 << 20  # that wait for the socket


class Connection:
    def __init__(self, address, calls, size, more):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setblocking(False)
        self.out, self.heard = bytearray(PREFACE + frame(SETTINGS)), bytearray()
        self.size, self.first_window, self.window = size, FIRST_WINDOW_BYTES, FIRST_WINDOW_BYTES
        self.windows, self.left = {}, {}  # of each stream: what may be sent, what is not sent
        self.headers = call_headers(b"CreateJob", *more)
        self.unopened = [2 * number + 1 for number in range(calls)]
        self.sent = 0

    def open_calls(self):
        for stream in self.unopened:
            self.out += frame(HEADERS, END_HEADERS, stream, self.headers)
            self.out += frame(DATA, 0, stream, message(b"", length=self.size))
            self.windows[stream], self.left[stream] = self.first_window - 5, self.size - 1
            self.window -= 5
        self.unopened = []

    def fill(self):
        for stream in list(self.left):
            size = min(PIECE_BYTES, self.window, self.windows[stream], self.left[stream])
            if len(self.out) > KEPT_BYTES or self.window <= 0:
                return
            if size > 0:
                self.out += frame(DATA, 0, stream, bytes(size))
                self.window -= size
                self.windows[stream] -= size
                self.left[stream] -= size
                self.sent += size

    def on_frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == INITIAL_WINDOW_SIZE:
                    self.windows = {one: window + value - self.first_window for one, window in self.windows.items()}
                    self.first_window = value
            self.out += frame(SETTINGS, ACK)
            self.open_calls()
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, payload)
        elif kind == WINDOW and stream == 0:
            self.window += struct.unpack(">I", payload)[0]
        elif kind == WINDOW and stream in self.windows:
            self.windows[stream] += struct.unpack(">I", payload)[0]
        elif kind in (RST, GOAWAY):
            self.left.pop(stream, None)

    def hear(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise ConnectionError("the server has closed it")
        self.heard += piece
        while len(self.heard) >= FRAME_HEAD_BYTES:
            end = FRAME_HEAD_BYTES + int.from_bytes(self.heard[:3], "big")
            if len(self.heard) < end:
                return
            kind, flags = self.heard[3], self.heard[4]
            self.on_frame(kind, flags, int.from_bytes(self.heard[5:9], "big"), bytes(self.heard[FRAME_HEAD_BYTES:end]))
            del self.heard[:end]

    def turn(self, events):
        if events & selectors.EVENT_READ:
            self.hear()
        self.fill()
        if self.out:
            del self.out[:self.socket.send(self.out)]


def main(address, count, size, *token):
    more = [(b"authorization", b"Bearer " + word.encode()) for word in token]
    selector, connections, told, sent, moved = selectors.DefaultSelector(), [], False, 0, time.monotonic()
    for begin in range(0, int(count), CALLS_A_CONNECTION):
        try:
            connection = Connection(address, min(CALLS_A_CONNECTION, int(count) - begin), int(size), more)
        except OSError:
            continue  # refused: one fewer
        connections.append(connection)
        selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
    while True:
        ready = selector.select(1)
        for key, events in ready:
            try:
                key.data.turn(events)
            except BlockingIOError:
                pass
            except OSError:  # cut off
                selector.unregister(key.fileobj)
                key.fileobj.close()
        now_sent = sum(connection.sent for connection in connections)
        if now_sent != sent:
            sent, moved = now_sent, time.monotonic()
        elif not told and time.monotonic() > moved + QUIET_S:
            print("at it", sent, flush=True)
            told = True
        time.sleep(0.001 if now_sent != sent else 0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
