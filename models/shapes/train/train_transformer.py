"""Stage 2: the transformer and the text encoder, jointly, on latents of the finished VAE.

    torchrun --nproc_per_node GPUS train_transformer.py MODEL_FOLDER --seconds 900
"""
import argparse
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from transformers import T5EncoderModel

import grammar
import networks
import render
import tokenizer
from optimise import Clock, FlatParameters, Run

_CAPTIONS_EACH = 64   # per combination
_ENCODE_BATCH = 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="has vae/ and tokenizer/; transformer/ and text_encoder/ "
                        "are written there")
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--steps", type=int, default=0, help="instead of --seconds")
    parser.add_argument("--resume", action="store_true", help="start from the folder's weights")
    parser.add_argument("--save-every", type=float, default=120, help="seconds")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=256, help="on all GPUs together")
    parser.add_argument("--pool", type=int, default=49152, help="clips kept on each GPU")
    parser.add_argument("--first-pool", type=int, default=16384, help="clips before the first step")
    parser.add_argument("--drop", type=float, default=0.1, help="part of empty captions")
    parser.add_argument("--high-noise", type=float, default=0.8, help="exponent; 1 is uniform")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class CaptionTable:
    """Token ids of random captions of every trained combination."""

    def __init__(self, folder, device, seed):
        tokens, rng = tokenizer.Tokens(folder / "tokenizer"), random.Random(seed)
        self._ids = torch.tensor([[tokens.ids(grammar.caption(x, rng))
                                   for _ in range(_CAPTIONS_EACH)] for x in grammar.TRAINED],
                                 device=device)
        self._empty = torch.tensor(tokens.ids(""), device=device)

    def draw(self, combinations, drop):
        count, device = len(combinations), self._ids.device
        ids = self._ids[combinations, torch.randint(0, _CAPTIONS_EACH, (count,), device=device)]
        return torch.where(torch.rand(count, 1, device=device) < drop, self._empty, ids)


class LatentPool:
    """Encoded clips on the GPU; new ones replace the oldest."""

    def __init__(self, run, vae, capacity):
        self._run, self._vae, self._count, self._next = run, vae, 0, 0
        self._table = render.combination_table(grammar.TRAINED, run.device)
        shape = (networks.LATENT_FRAMES, networks.LATENT_CHANNELS, networks.LATENT_HEIGHT,
                 networks.LATENT_WIDTH)
        self._latents = torch.empty(capacity, *shape, dtype=torch.float16, device=run.device)
        self._combinations = torch.zeros(capacity, dtype=torch.long, device=run.device)

    @torch.no_grad()
    def add(self, count):
        count = min(count, len(self._latents) - self._next)
        which = torch.randint(0, len(self._table), (count,), device=self._run.device)
        place = slice(self._next, self._next + count)
        self._latents[place] = encode(self._run, self._vae, self._table[which])[1]
        self._combinations[place] = which
        self._next = (self._next + count) % len(self._latents)
        self._count = max(self._count, place.stop)

    def draw(self, count):
        index = torch.randint(0, self._count, (count,), device=self._run.device)
        return self._latents[index].float(), self._combinations[index]


def encode(run, vae, combinations):
    """Rendered clips, and their latents [B, F, C, H, W] as the transformer sees them."""
    clip, _ = render.draw(render.random_scenes(combinations))
    clip = clip.contiguous(memory_format=torch.channels_last_3d)
    with run.autocast():
        latent = vae.encode(clip).latent_dist.mode()
    return clip, (latent.float() * vae.config.scaling_factor).permute(0, 2, 1, 3, 4)


class Denoiser:
    """The v-prediction loss of transformer and text encoder."""

    def __init__(self, run, transformer, text_encoder):
        self._run, self._transformer, self._text_encoder = run, transformer, text_encoder
        self._alphas = networks.scheduler().alphas_cumprod.to(run.device, torch.float32)
        self._rotary = networks.rotary_embedding(run.device)

    def loss(self, latents, ids, steps):
        alpha = self._alphas[steps].reshape(-1, 1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with self._run.autocast():
            prediction = self._transformer(
                hidden_states=noisy, encoder_hidden_states=self._text_encoder(ids)[0],
                timestep=steps, image_rotary_emb=self._rotary, return_dict=False)[0]
        return F.mse_loss(prediction.float(), velocity)


def load(folder, resume, device):
    vae = AutoencoderKLCogVideoX.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    if resume:
        transformer = CogVideoXTransformer3DModel.from_pretrained(
            folder / "transformer", torch_dtype=torch.float32)
        text_encoder = T5EncoderModel.from_pretrained(
            folder / "text_encoder", dtype=torch.float32)
    else:
        transformer = networks.new_transformer()
        text_encoder = networks.new_text_encoder(
            tokenizer.Tokens(folder / "tokenizer").vocabulary)
    return (vae.to(device).eval().requires_grad_(False), transformer.to(device).train(),
            text_encoder.to(device).train())


def save(run, flat, folder, transformer, text_encoder):
    flat.swap_averages()
    if run.rank == 0:
        networks.save_half(transformer, folder / "transformer")
        networks.save_half(text_encoder, folder / "text_encoder")
    flat.swap_averages()


def train(run, options, folder):
    vae, transformer, text_encoder = load(folder, options.resume, run.device)
    captions = CaptionTable(folder, run.device, seed=2)
    pool = LatentPool(run, vae, options.pool)
    for _ in range(-(-options.first_pool // _ENCODE_BATCH)):
        pool.add(_ENCODE_BATCH)
    run.log(f"transformer: first {options.first_pool} latents, rms "
            f"{pool.draw(256)[0].square().mean().sqrt():.3f}")

    flat = FlatParameters(run, [transformer, text_encoder], weight_decay=0.01, average=0.9995)
    if options.compile:
        for block in transformer.transformer_blocks:
            block.compile()
    denoiser = Denoiser(run, transformer, text_encoder)
    clock = Clock(run, options.seconds, options.steps, options.rate, warm_up=500)
    losses, last, saved, batch = [], time.time(), time.time(), options.batch // run.size
    while clock.tick():
        latents, combinations = pool.draw(batch)
        uniform = torch.rand(batch, device=run.device)
        steps = (uniform ** options.high_noise * 1000).long().clamp(0, 999)
        loss = denoiser.loss(latents, captions.draw(combinations, options.drop), steps)
        loss.backward()
        norm = flat.step(clock.rate())
        losses.append(loss.detach())
        if clock.step % 16 == 0:
            pool.add(_ENCODE_BATCH)
        if time.time() - last > 15:
            run.log(f"transformer {clock.step} ({clock.part:.0%}) loss "
                    f"{torch.stack(losses).mean():.4f} norm {norm:.2f} rate {clock.rate():.1e} "
                    f"{clock.per_second():.1f}/s")
            losses, last = [], time.time()
        if time.time() - saved > options.save_every:
            save(run, flat, folder, transformer, text_encoder)
            saved = time.time()
    save(run, flat, folder, transformer, text_encoder)
    run.log(f"transformer: {clock.step} steps of {options.batch}")


def main():
    options = arguments()
    run = Run(options.seed)
    train(run, options, pathlib.Path(options.folder))
    run.close()


if __name__ == "__main__":
    main()
