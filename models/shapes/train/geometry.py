"""The four shapes as signed distances, for numpy and for torch alike (`xp` is either module)."""
import math

STAR_REACH, STAR_WAIST = 1.35, 0.42  # tip radius over r, inner radius over tip radius
REACH = 1.37                         # no shape reaches further than this times r


def circle(xp, dx, dy, r):
    return xp.sqrt(dx * dx + dy * dy) - r


def square(xp, dx, dy, r):
    return xp.maximum(xp.abs(dx), xp.abs(dy)) - 0.9 * r


def triangle(xp, dx, dy, r):
    """Equilateral, standing on its base; y grows downwards."""
    return xp.maximum(dy, math.cos(math.pi / 6) * xp.abs(dx) - 0.5 * dy) - 0.68 * r


def star(xp, dx, dy, r):
    """Five points, one up: the plane is folded into one tenth, where the edge is one line."""
    tenth = math.pi / 5
    angle = xp.abs(xp.remainder(xp.arctan2(dx, -dy) + tenth, 2 * tenth) - tenth)
    radius = xp.sqrt(dx * dx + dy * dy)
    ex = STAR_WAIST * math.cos(tenth) - 1
    ey = STAR_WAIST * math.sin(tenth)
    length = math.hypot(ex, ey)
    along, across = radius * xp.cos(angle) - STAR_REACH * r, radius * xp.sin(angle)
    return (along * ey - across * ex) / length


SIGNED_DISTANCES = (circle, square, triangle, star)  # in the order of grammar.SHAPES
