"""The world of the small model: what a clip may show and how a caption may say it.

Plain Python: the renderer, the meter, the tokenizer and the tests all read it.
"""
import random
from typing import NamedTuple

HEIGHT, WIDTH, FRAMES, FPS = 96, 128, 17, 8
MAX_TOKENS = 32

COLOURS = {
    "red": (230, 40, 40), "green": (40, 185, 60), "blue": (45, 80, 235),
    "yellow": (245, 225, 40), "orange": (250, 135, 15), "purple": (135, 45, 195),
    "cyan": (40, 215, 225), "pink": (255, 130, 195),
}
BACKGROUNDS = {"black": (12, 12, 14), "white": (245, 245, 245), "gray": (118, 118, 120)}
SHAPES = {
    "circle": ("circle", "circle", "circle", "disc", "ball"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
}


def _sideways(side):
    return ([f"moving to the {side}", f"moving {side}", f"sliding to the {side}", f"going {side}"],
            [f"moves to the {side}", f"moves {side}", f"slides to the {side}", f"goes {side}"])


def _vertical(way):
    return ([f"moving {way}", f"moving {way}wards", f"sliding {way}", f"going {way}"],
            [f"moves {way}", f"moves {way}wards", f"slides {way}", f"goes {way}"])


# Motion -> (phrases after "is", phrases after "that").
MOTIONS = {
    "left": _sideways("left"), "right": _sideways("right"),
    "up": _vertical("up"), "down": _vertical("down"),
    "still": (["standing still", "not moving", "staying still"],
              ["stands still", "does not move", "stays still"]),
    "grow": (["growing", "getting bigger", "becoming bigger"],
             ["grows", "gets bigger", "becomes bigger"]),
    "shrink": (["shrinking", "getting smaller", "becoming smaller"],
               ["shrinks", "gets smaller", "becomes smaller"]),
}
SETTINGS = {
    "black": ("on a black background", "over a dark background", "on black"),
    "white": ("on a white background", "over a white background", "on white"),
    "gray": ("on a gray background", "over a grey background", "on gray"),
}
# A black background may be left unsaid, except in phrasings that begin with it.
PHRASINGS = (
    "a {c} {s} {ing}{bg}", "a {c} {s} {ing}{bg}", "a {c} {s} {ing}{bg}", "a {c} {s} {ing}{bg}",
    "a {c} {s} {does}{bg}", "a {c} {s} is {ing}{bg}", "{c} {s} {ing}{bg}",
    "the {c} {s} {ing}{bg}", "the {c} {s} {does}{bg}", "one {c} {s} {ing}{bg}",
    "a video of a {c} {s} {ing}{bg}", "a video of the {c} {s} that {does}{bg}",
    "an animation of a {c} {s} {ing}{bg}", "an animation of one {c} {s} that is {ing}{bg}",
    "{on}, a {c} {s} {does}", "{on}, one {c} {s} is {ing}",
)
HELD_OUT_PHRASINGS = (
    "the {c} {s} is {ing}{bg}", "one {c} {s} {does}{bg}", "a {c} {s} that is {ing}{bg}",
    "a video of one {c} {s} {ing}{bg}", "an animation of a {c} {s} that {does}{bg}",
    "{on}, the {c} {s} is {ing}",
)

COLOUR_NAMES, SHAPE_NAMES = tuple(COLOURS), tuple(SHAPES)
MOTION_NAMES, BACKGROUND_NAMES = tuple(MOTIONS), tuple(BACKGROUNDS)


class Combination(NamedTuple):
    """What one clip shows; each field indexes the names above."""
    colour: int
    shape: int
    motion: int
    background: int

    def names(self):
        return {"colour": COLOUR_NAMES[self.colour], "shape": SHAPE_NAMES[self.shape],
                "motion": MOTION_NAMES[self.motion],
                "background": BACKGROUND_NAMES[self.background]}

    def is_held_out(self):
        """One colour of every (shape, motion) is never trained on, whatever the background."""
        return self.colour == (2 * self.shape + self.motion + 4) % len(COLOURS)


ALL = tuple(Combination(c, s, m, b) for c in range(len(COLOURS)) for s in range(len(SHAPES))
            for m in range(len(MOTIONS)) for b in range(len(BACKGROUNDS)))
HELD_OUT = tuple(x for x in ALL if x.is_held_out())
TRAINED = tuple(x for x in ALL if not x.is_held_out())


def caption(combination, rng, phrasings=PHRASINGS):
    """One random caption of a combination."""
    names = combination.names()
    on = rng.choice(SETTINGS[names["background"]])
    unsaid = names["background"] == "black" and rng.random() < 0.6
    ing, does = MOTIONS[names["motion"]]
    text = rng.choice(phrasings).format(
        c=names["colour"], s=rng.choice(SHAPES[names["shape"]]), ing=rng.choice(ing),
        does=rng.choice(does), on=on, bg="" if unsaid else " " + on)
    if rng.random() < 0.6:
        text = text.replace("a orange", "an orange")
    if rng.random() < 0.25:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < 0.25 else text


def words():
    """Every word of the trained captions, also capitalised where it can come first."""
    texts = [p.format(c="", s="", ing="", does="", on="", bg="") for p in PHRASINGS] + ["an"]
    texts += [*COLOURS, *sum(SHAPES.values(), ()), *sum(SETTINGS.values(), ())]
    texts += [phrase for kinds in MOTIONS.values() for kind in kinds for phrase in kind]
    plain = {w for t in texts for w in t.replace(",", " ").split()}
    return plain | {w.capitalize() for w in plain}


VOCABULARY = tuple(sorted({w.strip(".,").lower() for w in words()}))
DESCRIPTION = "one coloured shape that moves over a plain background"
SAMPLE_PROMPTS = (
    "a blue star moving to the right on a white background",
    "a yellow square moving upwards",
    "a pink triangle shrinking",
    "a red square moving to the right",
    "an orange triangle moving down on a white background",
    "a purple square growing",
    "a cyan star moving left on a gray background",
    "a green square that moves to the left",
    "a video of a blue triangle moving down",
    "a yellow star getting bigger on a black background",
    "a red star moving up",
    "a purple square standing still on a white background",
)


def plain_caption(combination):
    """The shortest complete caption; a black background goes unsaid."""
    n = combination.names()
    on = "" if n["background"] == "black" else " " + SETTINGS[n["background"]][0]
    return f"a {n['colour']} {n['shape']} {MOTIONS[n['motion']][0][0]}{on}"


def test_captions(count, combinations, phrasings, seed):
    """`count` captions spread evenly over all attributes, with what they promise."""
    rng = random.Random(seed)
    left, chosen = list(combinations), []
    seen = [dict.fromkeys(range(k), 0) for k in map(len, (COLOURS, SHAPES, MOTIONS, BACKGROUNDS))]
    while len(chosen) < count:
        if not left:
            left = list(combinations)
        rng.shuffle(left)
        best = min(left, key=lambda x: sum(s[v] / len(combinations) * len(s)
                                           for s, v in zip(seen, x)))
        left.remove(best)
        for s, v in zip(seen, best):
            s[v] += 1
        chosen.append(best)
    wording = random.Random(seed + 1)
    return [{"prompt": caption(x, wording, [phrasings[i % len(phrasings)]]), **x.names(),
             "seed": 1000 + i} for i, x in enumerate(chosen)]
