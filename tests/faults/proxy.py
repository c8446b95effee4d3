"""A TCP proxy that delays, swallows, resets or drops what passes it."""

import random
import selectors
import socket
import struct
import threading
import time

from cluster import free_port

PIECE = 65536
TURN_S = 0.01


class Link:
    """One connection with both its ends; bytes wait in `held` until their time has come."""

    def __init__(self, client, server):
        self.ends = (client, server)
        self.held = {client: [], server: []}  # towards that end: (when, bytes)
        self.open = True

    def other(self, end):
        return self.ends[1] if end is self.ends[0] else self.ends[0]


class Proxy:
    """Listens on `address` and forwards to `target`. The faults are attributes, to be set from any thread:

    delay_s      (shortest, longest) that each piece waits, in order
    black_hole   nothing passes, nothing is closed
    drop         chance that a new connection is closed at once
    reset(which) ends connections with RST: all of them, or one chosen by `which(count)`
    """

    def __init__(self, target, seed=0):
        self.target = target
        self.delay_s, self.black_hole, self.drop = (0.0, 0.0), False, 0.0
        self.chance = random.Random(seed)
        self.links, self.lock = [], threading.Lock()
        self.swallowed = set()  # links that are black holes by themselves
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", free_port()))
        self.listener.listen(128)
        self.listener.setblocking(False)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.thread.join(5)
        for link in list(self.links):
            self.end(link)
        self.listener.close()

    def swallow_one(self):
        """One of the connections becomes a black hole, the others live."""
        with self.lock:
            self.swallowed.add(self.chance.choice(self.links))

    def heal(self):
        with self.lock:
            self.swallowed.clear()
        self.delay_s, self.black_hole, self.drop = (0.0, 0.0), False, 0.0

    def reset(self, which=None):
        with self.lock:
            links = list(self.links)
        for link in links if which is None else [links[which(len(links))]]:
            self.end(link, reset=True)

    def end(self, link, reset=False):
        with self.lock:
            if not link.open:
                return
            link.open = False
            self.links.remove(link)
        for end in link.ends:
            try:
                self.selector.unregister(end)
            except (KeyError, ValueError):
                pass
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()

    def accept(self):
        client, _ = self.listener.accept()
        if self.chance.random() < self.drop:
            client.close()
            return
        host, port = self.target.rsplit(":", 1)
        try:
            server = socket.create_connection((host, int(port)), timeout=1)
        except OSError:
            client.close()
            return
        link = Link(client, server)
        with self.lock:
            self.links.append(link)
        for end in link.ends:
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(end, selectors.EVENT_READ, link)

    def stuck(self, link):
        return self.black_hole or link in self.swallowed

    def receive(self, link, end):
        try:
            data = end.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end(link)
            return
        queue = link.held[link.other(end)]
        when = time.monotonic() + self.chance.uniform(*self.delay_s)
        queue.append((max(when, queue[-1][0]) if queue else when, data))

    def send(self, link):
        for end, queue in link.held.items():
            while queue and queue[0][0] <= time.monotonic() and link.open:
                when, data = queue[0]
                try:
                    sent = end.send(data)
                except BlockingIOError:
                    break
                except OSError:
                    self.end(link)
                    return
                if sent == len(data):
                    queue.pop(0)
                else:
                    queue[0] = (when, data[sent:])

    def run(self):
        while not self.closing.is_set():
            for key, _ in self.selector.select(TURN_S):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.data.open and not self.stuck(key.data):
                    self.receive(key.data, key.fileobj)
            with self.lock:
                links = list(self.links)
            for link in links:
                if not self.stuck(link):
                    self.send(link)
            if self.black_hole or self.swallowed:
                time.sleep(TURN_S)  # what may not pass stays readable
