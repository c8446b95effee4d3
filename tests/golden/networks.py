"""Recorded results of single networks: one transformer forward per variant, T5, VAE, image input.

Inputs are uniform tensors (reference.uniform) and so are not stored.
"""

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

import case_list
import reference
from reference import HERE

# checkpoint -> latent frames, rows, columns of the forward pass.
FORWARD_SHAPES = {
    "t2v-sincos": (2, 4, 6), "t2v-rope": (3, 6, 4), "i2v-learned": (3, 6, 10),
    "t2v-rope15": (4, 4, 6), "i2v-rope15-ofs": (4, 6, 4),
}
FORWARD_TIME = 499


def forward(name):
    """One transformer forward with text from T5: embeddings, inner states, prediction."""
    pipe = reference.load(reference.read_checkpoint(name), "ddim")
    config = pipe.transformer.config
    frames, height, width = FORWARD_SHAPES[name]
    text, _ = pipe.encode_prompt(case_list.LONG, None, do_classifier_free_guidance=False,
                                 max_sequence_length=config.max_text_seq_length)
    shape = (1, frames, config.in_channels, height, width)
    x = reference.uniform(shape, 0.0, 1.0, 4242)
    kept = {}
    pipe.transformer.patch_embed.register_forward_hook(
        lambda module, inputs, output: kept.update(embedded=output))
    pipe.transformer.transformer_blocks[0].register_forward_hook(
        lambda module, inputs, output: kept.update(block0=torch.cat([output[1], output[0]], 1)))
    rotary = None
    if config.use_rotary_positional_embeddings:
        rotary = pipe._prepare_rotary_positional_embeddings(height * 8, width * 8, frames, x.device)
    more = {"ofs": x.new_full((1,), 2.0)} if config.ofs_embed_dim else {}
    prediction = pipe.transformer(x, text, torch.tensor([FORWARD_TIME]), image_rotary_emb=rotary,
                                  return_dict=False, **more)[0]
    tensors = {"text": text, "embedded": kept["embedded"], "block0": kept["block0"],
               "prediction": prediction}
    return {"checkpoint": name, "prompt": case_list.LONG, "input_shape": list(shape),
            "input_seed": 4242, "t": FORWARD_TIME, "file": f"networks/{name}.safetensors"}, tensors


# label -> checkpoint, latent frames, rows, columns, tiling, recorded frames.
DECODES = {
    "five": ("t2v-rope", 5, 4, 4, False, (0, 4, 9, 16)),
    "four": ("t2v-rope", 4, 4, 4, False, (0, 7, 15)),
    "three": ("t2v-sincos", 3, 4, 6, False, (1, 8)),
    "two": ("t2v-sincos", 2, 4, 4, False, (0, 7)),
    "one": ("i2v-learned", 1, 6, 4, False, (0,)),
    "tiled": ("i2v-rope15-ofs", 5, 7, 6, True, (9,)),
    "tiled_columns": ("i2v-rope15-ofs", 2, 4, 11, True, (7,)),
}


def decode(label):
    """VAE decode of a latent that is already divided by the scaling factor, before clamping."""
    name, frames, height, width, tiling, kept = DECODES[label]
    vae = reference.load(reference.read_checkpoint(name), "ddim").vae
    if tiling:
        vae.enable_tiling()
    z = reference.uniform((1, 16, frames, height, width), 0.0, 1.0, 555)
    video = vae.decode(z).sample
    return {"label": label, "checkpoint": name, "latent_shape": list(z.shape), "latent_seed": 555,
            "tiling": tiling, "video_shape": list(video.shape), "frames": list(kept)}, \
        video[0, :, list(kept)]


# label -> checkpoint, image, pixel height, width, tiling.
ENCODES = {
    "plain": ("i2v-learned", "images/rgb.png", 48, 80, False),
    "inverted": ("i2v-rope15-ofs", "images/rgba.png", 32, 40, False),
    "tiled": ("i2v-rope15-ofs", "images/rgb.png", 64, 80, True),
}


def encode(label, tensors):
    """VAE encode of an image: posterior mean and log variance, and the sample for seed 21."""
    name, image, height, width, tiling = ENCODES[label]
    pipe = reference.load(reference.read_checkpoint(name), "ddim")
    if tiling:
        pipe.vae.enable_tiling()
    picture = PIL.Image.open(HERE / image).convert("RGB")
    pixels = pipe.video_processor.preprocess(picture, height=height, width=width)
    posterior = pipe.vae.encode(pixels.unsqueeze(2)).latent_dist
    sample = posterior.sample(torch.Generator().manual_seed(21))
    tensors[f"{label}/mean"] = posterior.mean[0]
    tensors[f"{label}/logvar"] = posterior.logvar[0]
    tensors[f"{label}/sample"] = sample[0]
    return {"label": label, "checkpoint": name, "image": image, "height": height, "width": width,
            "tiling": tiling, "sample_seed": 21}


def make_vae():
    """(description, decoded, encoded) of the VAE results."""
    decoded, encoded, decodes = {}, {}, []
    for label in DECODES:
        description, decoded[label] = decode(label)
        decodes.append(description)
    encodes = [encode(label, encoded) for label in ENCODES]
    return {"decode": decodes, "encode": encodes}, decoded, encoded


# image -> sizes (width, height) it is resized to.
RESIZES = {
    "rgb.png": ((80, 48), (53, 41), (32, 64), (16, 16), (112, 96)),
    "rgba.png": ((80, 48),), "palette.png": ((80, 48),), "palette4.png": ((48, 80),),
    "grey.png": ((48, 80),), "grey1.png": ((48, 48),), "grey_alpha.png": ((64, 32),),
    "rgb_interlaced.png": ((53, 41),), "grey16.png": ((32, 32),), "rgb16.png": ((32, 32),),
    "tiny.png": ((48, 32),), "dot.png": ((16, 16),),
}


def make_resizes():
    """Lanczos results as the pipeline's image processor makes them: uint8 [height, width, 3]."""
    processor = VaeImageProcessor(vae_scale_factor=8)
    lines, tensors = [], {}
    for image, sizes in RESIZES.items():
        for width, height in sizes:
            picture = PIL.Image.open(HERE / "images" / image).convert("RGB")
            resized = processor.resize(picture, height, width)
            key = f"{image}/{width}x{height}"
            tensors[key] = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8) \
                .reshape(height, width, 3)
            lines.append({"key": key, "image": f"images/{image}", "width": width,
                          "height": height})
    return lines, tensors
