"""Stage 3: the decoder alone, on latents as the finished transformer leaves them.

Clips are encoded, noised, and denoised by one guided prediction; the decoder learns to draw the
clip from that as well as from the clean latent. The encoder, and so the latents, stay as they are.

    torchrun --nproc_per_node GPUS tune_decoder.py MODEL_FOLDER --seconds 90
"""
import argparse
import pathlib
import time

import torch

import grammar
import networks
import render
from optimise import Clock, FlatParameters, Run
from train_transformer import CaptionTable, load
from train_vae import reconstruction_loss

_STEPS = (40, 300)   # the timesteps drawn
_GUIDANCE = 3.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="vae/ there is rewritten")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--steps", type=int, default=0, help="instead of --seconds")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--clips", type=int, default=16, help="a step, on all GPUs together")
    parser.add_argument("--seed", type=int, default=3)
    return parser.parse_args()


class Redenoiser:
    """A clean latent -> what the transformer makes of it after some noise."""

    def __init__(self, run, transformer, text_encoder, captions):
        self._transformer, self._text_encoder = transformer, text_encoder
        self._captions, self._run = captions, run
        self._alphas = networks.scheduler().alphas_cumprod.to(run.device, torch.float32)
        self._rotary = networks.rotary_embedding(run.device)

    def __call__(self, latents, combinations):
        count = len(latents)
        steps = torch.randint(*_STEPS, (count,), device=latents.device)
        alpha = self._alphas[steps].reshape(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * torch.randn_like(latents)
        ids = torch.cat([self._captions.draw(combinations, drop=1.0),
                         self._captions.draw(combinations, drop=0.0)])
        with self._run.autocast():
            plain, guided = self._transformer(
                hidden_states=torch.cat([noisy, noisy]), timestep=torch.cat([steps, steps]),
                encoder_hidden_states=self._text_encoder(ids)[0], image_rotary_emb=self._rotary,
                return_dict=False)[0].float().chunk(2)
        velocity = plain + _GUIDANCE * (guided - plain)
        return alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity


def train(run, options, folder):
    vae, transformer, text_encoder = load(folder, resume=True, device=run.device)
    for model in (transformer, text_encoder):
        model.eval().requires_grad_(False)
    vae.decoder.requires_grad_(True)
    scale = vae.config.scaling_factor
    redenoise = Redenoiser(run, transformer, text_encoder, CaptionTable(folder, run.device, seed=4))
    table = render.combination_table(grammar.TRAINED, run.device)
    flat = FlatParameters(run, [vae.decoder], weight_decay=1e-4, average=0.995)
    clock = Clock(run, options.seconds, options.steps, options.rate, warm_up=50)
    sums, last, count = [], time.time(), max(2, options.clips // run.size)
    while clock.tick():
        which = torch.randint(0, len(table), (count,), device=run.device)
        clip, coverage = render.draw(render.random_scenes(table[which]))
        clip = clip.contiguous(memory_format=torch.channels_last_3d)
        with torch.no_grad(), run.autocast():
            latent = vae.encode(clip).latent_dist.mode().float()
            made = redenoise(latent.permute(0, 2, 1, 3, 4) * scale, which)
            made = made.permute(0, 2, 1, 3, 4) / scale
            clean = torch.arange(count, device=run.device).reshape(-1, 1, 1, 1, 1) % 4 == 0
            latent = torch.where(clean, latent, made)
        with run.autocast():
            output = vae.decode(latent).sample
        loss, l1 = reconstruction_loss(output, clip, coverage)
        loss.backward()
        flat.step(clock.rate())
        sums.append(l1.detach())
        if time.time() - last > 15:
            run.log(f"decoder {clock.step} ({clock.part:.0%}) L1 {torch.stack(sums).mean():.4f} "
                    f"{clock.per_second():.1f}/s")
            sums, last = [], time.time()
    flat.use_averages()
    run.log(f"decoder: {clock.step} steps of {options.clips}")
    if run.rank == 0:
        networks.save_half(vae, folder / "vae")


def main():
    options = arguments()
    run = Run(options.seed)
    train(run, options, pathlib.Path(options.folder))
    run.close()


if __name__ == "__main__":
    main()
