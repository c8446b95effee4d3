"""The cases: which checkpoint, which request, on which meshes [cfg, ring, ulysses].

Latent sizes are chosen so that sequence, text and heads rarely divide by the ranks. Frame sizes
keep each recorded file below 256 KiB.
"""

SHORT = "a red circle moving to the right"
LONG = "a large blue square is sliding to the left on a dark background, a clip of one shape"
OTHER = "one small yellow star rises up over a white background"

# Degrees 1 to 4 of either kind, alone, mixed and with the guidance branches apart.
ALL_MESHES = ((1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (2, 1, 2), (1, 1, 3), (2, 2, 1),
              (1, 1, 4), (1, 4, 1))
FOUR_RANKS = ((1, 1, 1), (1, 2, 2), (2, 1, 2), (1, 1, 4))
MIXED = ((1, 1, 1), (1, 1, 3), (2, 2, 1), (1, 4, 1))
# An unguided job has one branch: a mesh with cfg 2 would double its ring.
UNGUIDED = ((1, 1, 1), (1, 1, 2), (1, 2, 2), (1, 1, 3))

CASES = {}


def case(name, checkpoint, meshes, served=True, **request):
    """Adds a case; what the request leaves out takes the values here."""
    CASES[name] = {
        "name": name,
        "checkpoint": checkpoint,
        "request": {
            "prompt": LONG, "negative_prompt": "", "guidance_scale": 6.0, "dynamic_cfg": False,
            "seed": 42, "vae_tiling": False, **request},
        "meshes": [list(mesh) for mesh in meshes],
        "served": served,
    }


# 2b: three heads, three layers, snr shift 3, fixed table.
case("sincos-ddim", "t2v-sincos", ALL_MESHES, scheduler="ddim", frames=9, height=64, width=96,
     steps=7, max_sequence_length=19)
case("sincos-dpm-rebuilt-table", "t2v-sincos", FOUR_RANKS, scheduler="dpm", frames=17, height=48,
     width=80, steps=5, max_sequence_length=19, prompt=SHORT, negative_prompt=OTHER, seed=0)
case("sincos-ddim-short-text", "t2v-sincos", MIXED, scheduler="ddim", frames=17, height=64,
     width=48, steps=4, max_sequence_length=7, prompt=SHORT, guidance_scale=3.5, seed=7)

# 5b: five heads, two layers, RoPE on a base grid of 4 x 6 patches.
case("rope-dpm", "t2v-rope", ALL_MESHES, scheduler="dpm", frames=9, height=80, width=64, steps=7,
     max_sequence_length=13, negative_prompt=SHORT, seed=2**32 + 5)
case("rope-ddim-wide", "t2v-rope", FOUR_RANKS, scheduler="ddim", frames=17, height=32, width=128,
     steps=4, max_sequence_length=11, prompt=OTHER)
case("rope-dpm-unguided", "t2v-rope", UNGUIDED, scheduler="dpm", frames=9, height=64, width=96,
     steps=6, max_sequence_length=31, guidance_scale=1.0, seed=2**64 - 1)
case("rope-dpm-dynamic", "t2v-rope", MIXED, scheduler="dpm", frames=9, height=48, width=96,
     steps=9, max_sequence_length=13, dynamic_cfg=True, prompt=SHORT, seed=3)
case("rope-ddim-one-frame", "t2v-rope", FOUR_RANKS, scheduler="ddim", frames=1, height=64,
     width=80, steps=7, max_sequence_length=5, prompt=SHORT, seed=1)
case("rope-ddim-tiled", "t2v-rope", MIXED, scheduler="ddim", frames=9, height=64, width=96,
     steps=4, max_sequence_length=13, vae_tiling=True, prompt=OTHER, seed=11)
case("rope-dpm-even-latents", "t2v-rope", FOUR_RANKS, served=False, scheduler="dpm", frames=13,
     height=48, width=80, steps=4, max_sequence_length=13, prompt=OTHER, seed=12)

# 5b-I2V: two heads, learned table (its own size, frames and text length only).
case("learned-ddim", "i2v-learned", FOUR_RANKS, scheduler="ddim", frames=9, height=48, width=80,
     steps=7, max_sequence_length=17, image="images/rgb.png")
case("learned-dpm", "i2v-learned", MIXED, scheduler="dpm", frames=9, height=48, width=80, steps=6,
     max_sequence_length=17, image="images/palette.png", prompt=SHORT, negative_prompt=LONG,
     seed=2**63 + 9)

# 1.5-5B: four heads, patches of two frames, one padding frame.
case("rope15-ddim", "t2v-rope15", FOUR_RANKS, scheduler="ddim", frames=17, height=48, width=80,
     steps=7, max_sequence_length=13)
case("rope15-dpm-long", "t2v-rope15", MIXED, scheduler="dpm", frames=33, height=48, width=48,
     steps=5, max_sequence_length=25, prompt=OTHER, seed=5)
case("rope15-dpm-one-frame", "t2v-rope15", ALL_MESHES, scheduler="dpm", frames=1, height=96,
     width=112, steps=7, max_sequence_length=9, prompt=SHORT, seed=6)

# 1.5-5B-I2V: three heads, ofs, image latents divided by the scaling factor; small VAE tiles.
case("rope15-i2v-dpm", "i2v-rope15-ofs", ALL_MESHES, scheduler="dpm", frames=17, height=48,
     width=80, steps=7, max_sequence_length=13, image="images/rgba.png", seed=8)
case("rope15-i2v-ddim-tiled", "i2v-rope15-ofs", FOUR_RANKS, scheduler="ddim", frames=17,
     height=80, width=48, steps=6, max_sequence_length=23, image="images/grey.png",
     vae_tiling=True, prompt=OTHER, negative_prompt=SHORT, seed=9)
