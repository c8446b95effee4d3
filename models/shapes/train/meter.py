"""Reads colour, shape, motion and background off the frames of one clip. Needs numpy only."""
import numpy as np

import geometry
import grammar

_GRID = 48            # masks are compared on this many cells a side
_LEAST_AREA = 40      # pixels; a frame with less shows nothing
_LEAST_CONTRAST = 20  # of 255
_LEAST_SHIFT = 0.12   # of the frame's shorter side: less is no movement
_LEAST_GROWTH = 1.5   # of the area
_DIRECTIONS = 64      # in which a circle's radius is measured
_RADIUS_STEP = 0.05   # pixels


def measure(frames):
    """frames [F, H, W, 3] uint8 -> {"colour", "shape", "motion", "background": name or None, ...}.

    Beside the names: dx and dy (pixels from the first to the last frame), growth (of the area) and
    overlap (with the nearest ideal shape, 1 = perfect; the outline's quality).
    """
    clip = np.asarray(frames, np.float32)
    ground = _ground(clip)
    result = {"colour": None, "shape": None, "motion": None,
              "background": _nearest(grammar.BACKGROUNDS, ground),
              "dx": 0.0, "dy": 0.0, "growth": 1.0, "overlap": 0.0}
    distance = np.sqrt(((clip - ground) ** 2).sum(-1))
    strong = float(np.quantile(distance, 0.99))
    if not strong >= _LEAST_CONTRAST:
        return result
    result["colour"] = _nearest(grammar.COLOURS, np.median(clip[distance > 0.8 * strong], axis=0))
    tracks = _tracks(_without_specks(distance > 0.5 * strong))
    if tracks is not None:
        result.update(tracks)
        result["motion"] = _motion(result, min(clip.shape[1:3]))
    return result


def roundness(frames):
    """frames [F, H, W, 3] uint8 of one circle -> how far each frame's outline is from round.

    That is the largest |r / mean r - 1| over 64 directions from the centre of mass, where r is the
    distance at which the shape's colour has faded to half, between pixels by interpolation. A drawn
    circle has 0.005 to 0.01 at the model's size. Frames that show nothing are left out.
    """
    clip = np.asarray(frames, np.float32)
    distance = np.sqrt(((clip - _ground(clip)) ** 2).sum(-1))
    strong = float(np.quantile(distance, 0.99))
    if not strong >= _LEAST_CONTRAST:
        return np.empty(0)
    covers = distance / np.median(distance[distance > 0.5 * strong])
    masks = _without_specks(covers > 0.5)
    radii = [_radii(cover, mask) for cover, mask in zip(covers, masks) if mask.sum() >= _LEAST_AREA]
    return np.array([np.abs(r / r.mean() - 1).max() for r in radii])


def _radii(cover, mask):
    """From the centre of one frame's shape to its edge, in every direction, in pixels."""
    ys, xs = np.nonzero(mask)
    box = np.zeros_like(mask)
    box[max(ys.min() - 2, 0):ys.max() + 3, max(xs.min() - 2, 0):xs.max() + 3] = True
    weight = np.where(box & (cover > 0.1), cover.clip(0, 1), 0)
    rows, columns = np.indices(mask.shape)
    y, x = (weight * rows).sum() / weight.sum(), (weight * columns).sum() / weight.sum()
    typical = np.sqrt(mask.sum() / np.pi)
    radii = np.arange(0.5 * typical, 1.7 * typical, _RADIUS_STEP)
    angles = np.arange(_DIRECTIONS)[:, None] * (2 * np.pi / _DIRECTIONS)
    outside = _between_pixels(cover, y + radii * np.sin(angles), x + radii * np.cos(angles)) < 0.5
    return radii[np.where(outside.any(1), outside.argmax(1), len(radii) - 1)]


def _between_pixels(image, y, x):
    y, x = y.clip(0, image.shape[0] - 1.001), x.clip(0, image.shape[1] - 1.001)
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    above = image[top, left] * (1 - right) + image[top, left + 1] * right
    below = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return above * (1 - down) + below * down


def _ground(clip):
    border = np.ones(clip.shape[1:3], bool)
    border[3:-3, 3:-3] = False
    return np.median(clip[:, border].reshape(-1, 3), axis=0)


def _nearest(palette, colour):
    names = list(palette)
    gaps = np.linalg.norm(np.array([palette[n] for n in names], np.float32) - colour, axis=1)
    return names[int(gaps.argmin())]


def _without_specks(masks):
    """Keeps the pixels with at least four of their eight neighbours."""
    p = np.pad(masks, ((0, 0), (1, 1), (1, 1))).astype(np.int8)
    h, w = masks.shape[1:]
    around = sum(p[:, y:y + h, x:x + w] for y in range(3) for x in range(3))
    return masks & (around >= 5)


def _on_grid(mask):
    """The mask inside its bounding box, on a fixed grid."""
    ys, xs = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    cells = (np.arange(_GRID) + 0.5) / _GRID
    rows = ys[0] + (cells * (ys[-1] + 1 - ys[0])).astype(int)
    columns = xs[0] + (cells * (xs[-1] + 1 - xs[0])).astype(int)
    return mask[np.ix_(rows, columns)]


def _ideal_shapes():
    y, x = np.meshgrid(*[np.linspace(-30, 30, 241)] * 2, indexing="ij")
    return np.stack([_on_grid(f(np, x, y, 20.0) < 0) for f in geometry.SIGNED_DISTANCES])


_IDEAL = _ideal_shapes()


def _tracks(masks):
    """Follows the shape through the frames that show it; None if fewer than half do."""
    frames, centres, areas, overlaps = [], [], [], []
    for index, mask in enumerate(masks):
        ys, xs = np.nonzero(mask)
        if len(ys) < _LEAST_AREA:
            continue
        seen = _on_grid(mask)
        frames.append(index)
        centres.append((xs.mean(), ys.mean()))
        areas.append(len(ys))
        overlaps.append((seen & _IDEAL).sum((1, 2)) / (seen | _IDEAL).sum((1, 2)))
    if len(frames) < max(1, len(masks) // 2):
        return None
    dx, dy = (0.0, 0.0) if len(frames) < 2 else (
        np.polyfit(frames, np.array(centres), 1)[0] * (len(masks) - 1))
    overlap = np.mean(overlaps, axis=0)
    return {"dx": float(dx), "dy": float(dy),
            "growth": float(np.median(areas[-3:]) / np.median(areas[:3])),
            "shape": grammar.SHAPE_NAMES[int(overlap.argmax())], "overlap": float(overlap.max())}


def _motion(seen, side):
    dx, dy, growth = seen["dx"], seen["dy"], seen["growth"]
    if max(abs(dx), abs(dy)) > _LEAST_SHIFT * side:
        if abs(dx) > abs(dy):
            return "right" if dx > 0 else "left"
        return "down" if dy > 0 else "up"
    if growth > _LEAST_GROWTH:
        return "grow"
    return "shrink" if growth < 1 / _LEAST_GROWTH else "still"
