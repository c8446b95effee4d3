"""The cases: which checkpoint, which request, on which meshes [cfg, ring, ulysses]."""

SHORT_PROMPT = "a red circle moving to the right"
PROMPT = "a large blue square is sliding to the left on a dark background, a clip of one shape"

CASES = {}


def case(name, checkpoint, meshes, served=True, **request):
    """Adds a case; the values here are the defaults of all cases."""
    CASES[name] = {
        "name": name,
        "checkpoint": checkpoint,
        "request": {
            "prompt": PROMPT, "negative_prompt": "", "guidance_scale": 6.0, "dynamic_cfg": False,
            "seed": 42, "vae_tiling": False, **request},
        "meshes": [list(mesh) for mesh in meshes],
        "served": served,
    }


FOUR = ((1, 1, 1), (1, 2, 2), (2, 1, 2), (1, 1, 4))

case("sincos-ddim", "t2v-sincos", ((1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (2, 1, 2),
                                   (1, 1, 3), (2, 2, 1), (1, 1, 4), (1, 4, 1)),
     scheduler="ddim", frames=9, height=64, width=96, steps=7, max_sequence_length=19)
case("rope-dpm", "t2v-rope", ((1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (2, 1, 2), (1, 1, 3),
                              (2, 2, 1), (1, 1, 4), (1, 4, 1)),
     scheduler="dpm", frames=9, height=80, width=64, steps=7, max_sequence_length=13,
     negative_prompt=SHORT_PROMPT, seed=2**32 + 5)
