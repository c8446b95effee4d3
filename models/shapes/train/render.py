"""Draws captioned clips on the training device, in [-1, 1]."""
from typing import NamedTuple

import torch

import geometry
import grammar

JITTER = 0.02  # of every colour


class Scenes(NamedTuple):
    """B moving shapes: centres and radii per frame, in pixels."""
    shape: torch.Tensor       # [B]
    colour: torch.Tensor      # [B, 3]
    background: torch.Tensor  # [B, 3]
    x: torch.Tensor           # [B, F]
    y: torch.Tensor           # [B, F]
    radius: torch.Tensor      # [B, F]


def combination_table(combinations, device):
    return torch.tensor(combinations, device=device)  # [N, 4]


def _palette(colours, device):
    return torch.tensor(list(colours.values()), dtype=torch.float32, device=device) / 127.5 - 1


def random_scenes(combinations):
    """combinations [B, 4] -> Scenes with random size, place and speed."""
    device, batch = combinations.device, len(combinations)
    colour, shape, motion, background = combinations.unbind(1)
    uniform = lambda: torch.rand(batch, device=device)
    is_motion = lambda *names: torch.isin(motion, torch.tensor(
        [grammar.MOTION_NAMES.index(n) for n in names], device=device))

    start = end = 13 + 7 * uniform()
    small, big = 9 + 2 * uniform(), 19 + 6 * uniform()
    grow, shrink = is_motion("grow"), is_motion("shrink")
    start = torch.where(grow, small, torch.where(shrink, big, start))
    end = torch.where(grow, big, torch.where(shrink, small, end))

    margin = geometry.REACH * torch.maximum(start, end) + 1
    time = torch.linspace(0, 1, grammar.FRAMES, device=device)[None]

    def track(size, forwards, backwards):
        room = size - 2 * margin
        way = torch.where(forwards | backwards, (0.7 + 0.3 * uniform()) * room, 0 * room)
        first = margin + uniform() * (room - way)
        a = torch.where(backwards, first + way, first)
        b = torch.where(backwards, first, first + way)
        return a[:, None] + (b - a)[:, None] * time

    def tint(palette, index, channels):
        noise = JITTER * torch.randn(batch, channels, device=device)
        return (_palette(palette, device)[index] + noise).clamp(-1, 1)

    return Scenes(shape, tint(grammar.COLOURS, colour, 3), tint(grammar.BACKGROUNDS, background, 1),
                  track(grammar.WIDTH, is_motion("right"), is_motion("left")),
                  track(grammar.HEIGHT, is_motion("down"), is_motion("up")),
                  start[:, None] + (end - start)[:, None] * time)


def draw(scenes, height=grammar.HEIGHT, width=grammar.WIDTH, top=0, left=0):
    """-> clips [B, 3, F, height, width] and the shape's coverage [B, 1, F, height, width].

    `top` and `left` (numbers or [B]) shift the window inside the full frame.
    """
    device = scenes.x.device
    corner = lambda v: torch.as_tensor(v, device=device).reshape(-1, 1, 1, 1)
    ys = torch.arange(height, device=device).reshape(1, 1, -1, 1) + 0.5 + corner(top)
    xs = torch.arange(width, device=device).reshape(1, 1, 1, -1) + 0.5 + corner(left)
    dx, dy = xs - scenes.x[:, :, None, None], ys - scenes.y[:, :, None, None]
    radius, shape = scenes.radius[:, :, None, None], scenes.shape[:, None, None, None]
    distance = torch.zeros((), device=device)
    for index, function in enumerate(geometry.SIGNED_DISTANCES):
        distance = torch.where(shape == index, function(torch, dx, dy, radius), distance)
    coverage = (0.5 - distance).clamp(0, 1)[:, None]
    ground = scenes.background[:, :, None, None, None]
    return ground + (scenes.colour[:, :, None, None, None] - ground) * coverage, coverage


def random_crops(scenes, frames, size):
    """Windows of `frames` x `size` x `size` around the shapes."""
    first = int(torch.randint(0, grammar.FRAMES - frames + 1, ()))
    cut = Scenes(*scenes[:3], *(a[:, first:first + frames] for a in scenes[3:]))

    def corner(centre, limit):
        shift = (torch.rand_like(centre) - 1) * size
        return (centre + shift).round().clamp(0, limit - size)

    return draw(cut, size, size, corner(cut.y[:, frames // 2], grammar.HEIGHT),
                corner(cut.x[:, frames // 2], grammar.WIDTH))
