"""HTTP/2 by hand, to say what no library would."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
FRAME_HEAD_BYTES = 9


def frame(kind, flags=0, stream=0, payload=b""):
    """RFC 9113, section 4.1."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    """RFC 7541, section 6.2.2: a literal without indexing, lengths as integers of 7 bits."""
    def text(raw):
        size, encoded = len(raw), b""
        if size < 127:
            return bytes([size]) + raw
        encoded, size = bytes([127]), size - 127
        while size >= 128:
            encoded, size = encoded + bytes([size % 128 + 128]), size // 128
        return encoded + bytes([size]) + raw
    return b"\0" + text(name) + text(value)


def call_headers(method=b"GetJob", *more):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/cogwheel.v1.VideoService/" + method),
              (b":authority", b"x"), (b"content-type", b"application/grpc"), (b"te", b"trailers"), *more]
    return b"".join(header(*field) for field in fields)


def message(payload, compressed=0, length=None):
    return bytes([compressed]) + struct.pack(">I", len(payload) if length is None else length) + payload
