"""The PNG files of the image tests, drawn and encoded here: the same bytes anywhere.

Pillow writes no 16 bit colour and no interlaced files, hence the small encoder.
"""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(rows, depth):
    """Sample rows [height][samples] as PNG scanlines, each with filter `up` or `none` in turn."""
    lines, previous = [], None
    for y, row in enumerate(rows):
        if depth == 16:
            line = np.asarray(row, dtype=">u2").tobytes()
        elif depth == 8:
            line = np.asarray(row, dtype=np.uint8).tobytes()
        else:
            bits = np.unpackbits(np.asarray(row, dtype=np.uint8)[:, None], axis=1)[:, -depth:]
            line = np.packbits(bits.reshape(-1)).tobytes()
        raw = np.frombuffer(line, np.uint8)
        if y % 2 == 1 and previous is not None and previous.size == raw.size:
            lines.append(b"\x02" + (raw - previous).tobytes())
        else:
            lines.append(b"\x00" + line)
        previous = raw
    return b"".join(lines)


def adam7(samples, depth):
    """The seven interlaced passes of samples [height, width, channels]."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1))
    parts = []
    for y, x, down, across in passes:
        part = samples[y::down, x::across]
        if part.size:
            parts.append(packed(part.reshape(part.shape[0], -1), depth))
    return b"".join(parts)


def png(samples, kind, depth=8, interlaced=False, extra=b""):
    """PNG bytes of samples [height, width, channels]; `extra` chunks stand before the data."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    data = adam7(samples, depth) if interlaced else packed(samples.reshape(height, -1), depth)
    return (SIGNATURE + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def scene(width, height):
    """A smooth picture with hard edges and fine stripes, uint8 [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1),
                        (x * 7 + y * 13) % 256], axis=2)
    picture[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2] = \
        (250, 20, 60)
    picture[height // 5:height // 5 + 3, ::2] = (255, 255, 255)
    picture[:, width // 7] = (0, 0, 0)
    return picture.astype(np.uint8)


def palette_chunks(colours, alphas=()):
    data = chunk(b"PLTE", np.asarray(colours, np.uint8).tobytes())
    return data + (chunk(b"tRNS", bytes(alphas)) if alphas else b"")


def all_pictures():
    """File name -> PNG bytes: every colour type and depth that a client may send."""
    rgb = scene(53, 41)
    grey = scene(37, 64)[:, :, :1]
    alpha = (scene(37, 64)[:, :, 1:2])
    wide = scene(90, 33)
    colours = [(i * 16, 255 - i * 16, (i * 53) % 256) for i in range(16)]
    deep = scene(21, 30).astype(np.uint16) * 256 + 77
    return {
        "rgb.png": png(rgb, RGB),
        "rgba.png": png(np.concatenate([wide, wide[:, :, :1]], 2), RGBA),
        "palette.png": png(wide[:, :, :1] // 16, PALETTE, 8, extra=palette_chunks(colours)),
        "palette4.png": png(rgb[:, :, 2:] // 16, PALETTE, 4,
                            extra=palette_chunks(colours, range(0, 256, 17))),
        "grey.png": png(grey, GREY),
        "grey1.png": png(grey // 128, GREY, 1),
        "grey_alpha.png": png(np.concatenate([grey, alpha], 2), GREY_ALPHA),
        "rgb_interlaced.png": png(rgb, RGB, interlaced=True),
        "grey16.png": png(deep[:, :, :1], GREY, 16),
        "rgb16.png": png(deep, RGB, 16),
        "tiny.png": png(scene(2, 3), RGB),
        "dot.png": png(scene(1, 1), RGB),
    }


def write(folder):
    folder.mkdir(exist_ok=True)
    for name, data in all_pictures().items():
        (folder / name).write_bytes(data)
