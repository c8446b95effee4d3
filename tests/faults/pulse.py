"""A rank that waits for its group and sends heartbeats: how long until the frontend answers each."""

import queue
import threading
import time

from caller import open_channel  # first: it says where the packages are

from stubs import pb  # noqa: F401: makes the stubs
from cogwheel.internal.v1 import rank_control_pb2 as wire
from cogwheel.internal.v1 import rank_control_pb2_grpc as wire_rpc

PAUSE_S = 0.25
PROTOCOL = 2


def hello():
    """Of a group of two whose other rank never comes."""
    model = wire.ModelInfo(name="pulse", digest="7" * 64, default_frames=9, default_height=16, default_width=16, default_fps=8,
                           default_steps=4, default_guidance_scale=1, default_scheduler_word="ddim",
                           default_scheduler=wire.SCHEDULER_DDIM, frames_multiple=8, max_frames=49, max_area=1 << 20,
                           max_height=1024, max_width=1024, max_steps=200, max_text_tokens=64)
    return wire.Hello(group="pulse", mesh=wire.Mesh(cfg=1, ring=2, ulysses=1), host="localhost", device="cpu", code_version="1",
                      dtype="fp32", model=model, peer_address="127.0.0.1:1", protocol=PROTOCOL, oldest_protocol=PROTOCOL)


class Pulse:
    def __init__(self, address):
        self.channel = open_channel(address)
        self.out, self.answers, self.longest_s, self.beats = queue.Queue(), queue.Queue(), 0.0, 0
        self.out.put(wire.RankMessage(hello=hello()))
        self.stream = wire_rpc.RankControlStub(self.channel).Join(iter(self.out.get, None))
        self.closing = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.listen, self.beat)]
        for thread in self.threads:
            thread.start()

    def listen(self):
        try:
            for message in self.stream:
                if message.WhichOneof("message") == "beat":
                    self.answers.put(time.monotonic())
        except Exception:  # noqa: BLE001: the end of the stream, which `beat` sees as silence
            pass

    def beat(self):
        while not self.closing.wait(PAUSE_S):
            begin = time.monotonic()
            self.out.put(wire.RankMessage(heartbeat=wire.Heartbeat()))
            try:
                self.longest_s = max(self.longest_s, self.answers.get(timeout=30) - begin)
                self.beats += 1
            except queue.Empty:
                self.longest_s = float("inf")
                return

    def close(self):
        self.closing.set()
        self.threads[1].join()
        self.out.put(None)
        self.stream.cancel()
        self.channel.close()
