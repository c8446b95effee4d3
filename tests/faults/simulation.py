"""What the simulated ranks make: the same numbers as sim_pipeline.cc, from their definition."""

import functools
import json
import struct

MASK = (1 << 64) - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def last_state(prompt, seed, steps, ranks):
    state = mix(seed)
    for byte in prompt.encode():
        state = mix(state ^ byte)
    state = mix(state ^ ranks)
    for _ in range(steps):
        parts = [mix((state + rank + 1) & MASK) for rank in range(ranks)]
        for part in parts:
            state = mix(state ^ part)
    return state


@functools.lru_cache(maxsize=4096)
def frames(prompt, seed, ranks, steps=4, count=9, height=16, width=16):
    """The bytes of [count, height, width, 3]."""
    state = last_state(prompt, seed, steps, ranks)
    words = count * height * width * 3 // 8
    return b"".join(struct.pack("<Q", mix((state + i) & MASK)) for i in range(words))


def payload(safetensors):
    """What follows the header of a file with one tensor."""
    size, = struct.unpack("<Q", safetensors[:8])
    json.loads(safetensors[8:8 + size])
    return safetensors[8 + size:]


def expected_of(job, ranks):
    """The bytes of a job of output type FRAMES, from its accepted request."""
    request = job.request
    return frames(request.prompt, request.seed, ranks, request.steps, request.frames, request.height, request.width)
