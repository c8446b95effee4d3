"""Reads what the programs write: safetensors and the boxes of an MP4."""

import json
import struct

import support  # noqa: F401  puts numpy on the path
import numpy as np

DTYPES = {"U8": np.uint8, "F32": np.float32}
# Boxes that hold boxes.
CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"}


def read_tensor(path, name):
    with open(path, "rb") as f:
        data = f.read()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + header_bytes])
    tensor = header[name]
    begin, end = (8 + header_bytes + offset for offset in tensor["data_offsets"])
    return np.frombuffer(data[begin:end], DTYPES[tensor["dtype"]]).reshape(tensor["shape"])


def boxes(data, begin=0, end=None):
    """[(type, payload begin, payload end)] of one level."""
    found = []
    end = len(data) if end is None else end
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8 or begin + size > end:
            raise ValueError(f"box of {size} bytes at {begin} of {end}")
        found.append((kind.decode("latin-1"), begin + 8, begin + size))
        begin += size
    return found


def all_boxes(data, begin=0, end=None):
    """Flat: (type, begin, end) in file order, containers opened."""
    for kind, inner, outer in boxes(data, begin, end):
        yield kind, inner, outer
        if kind in CONTAINERS:
            yield from all_boxes(data, inner, outer)


class Mp4:
    """What a player reads first: tracks, size, level, time scale, durations, samples with theirs and their places."""

    def __init__(self, data):
        self.top = [kind for kind, _, _ in boxes(data)]
        self.samples = 0
        self.duration = 0
        self.sample_bytes = 0
        self.announced_seconds = []
        default_duration = default_size = 0
        for kind, begin, end in all_boxes(data):
            body = data[begin:end]
            if kind == "mvhd":
                movie_timescale, duration = struct.unpack_from(">II", body, 12)
                self.announced_seconds.append(duration / movie_timescale)
            elif kind == "mehd":
                self.announced_seconds.append(struct.unpack_from(">I", body, 4)[0] / movie_timescale)
            elif kind == "tkhd":
                self.announced_seconds.append(struct.unpack_from(">I", body, 20)[0] / movie_timescale)
                self.width, self.height = (value >> 16 for value in struct.unpack(">II", body[-8:]))
            elif kind == "mdhd":
                self.timescale, duration = struct.unpack_from(">II", body, 12)
                self.announced_seconds.append(duration / self.timescale)
            elif kind == "stsd":
                self.codec = body[12:16].decode("latin-1")
                self.level = body[body.index(b"avcC") + 7]
            elif kind == "tfhd":
                flags = int.from_bytes(body[1:4], "big")
                at = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
                if flags & 0x8:
                    (default_duration,) = struct.unpack_from(">I", body, at)
                    at += 4
                if flags & 0x10:
                    (default_size,) = struct.unpack_from(">I", body, at)
            elif kind == "trun":
                self._read_run(body, default_duration, default_size)
        self.media_bytes = sum(end - begin for kind, begin, end in boxes(data) if kind == "mdat")

    def _read_run(self, body, default_duration, default_size):
        flags = int.from_bytes(body[1:4], "big")
        (count,) = struct.unpack_from(">I", body, 4)
        at = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
        for _ in range(count):
            duration, size = default_duration, default_size
            for bit in (0x100, 0x200, 0x400, 0x800):
                if not flags & bit:
                    continue
                (value,) = struct.unpack_from(">I", body, at)
                at += 4
                if bit == 0x100:
                    duration = value
                elif bit == 0x200:
                    size = value
            self.duration += duration
            self.sample_bytes += size
        self.samples += count

    @property
    def seconds(self):
        return self.duration / self.timescale
