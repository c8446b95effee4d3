"""Stage 1: the VAE, on crops around the shapes, then on whole clips.

    torchrun --nproc_per_node GPUS train_vae.py MODEL_FOLDER --seconds 420
"""
import argparse
import time

import torch
import torch.nn.functional as F

import grammar
import networks
import render
from optimise import Clock, FlatParameters, Run

_CROP_FRAMES, _CROP_SIZE = 9, 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where vae/ is written")
    parser.add_argument("--seconds", type=float, default=420)
    parser.add_argument("--steps", type=int, default=0, help="instead of --seconds")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--crops", type=int, default=32, help="a step, on all GPUs together")
    parser.add_argument("--clips", type=int, default=12, help="a step, on all GPUs together")
    parser.add_argument("--crop-part", type=float, default=0.5)
    parser.add_argument("--kl", type=float, default=3e-5)
    parser.add_argument("--latent-noise", type=float, default=0.15, help="at most, of the rms")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def random_combinations(count, device):
    table = render.combination_table(grammar.TRAINED, device)
    return table[torch.randint(0, len(table), (count,), device=device)]


def reconstruction_loss(output, clip, coverage):
    """Weighted L1 and MSE, and the gradients' L1; edges count most, then the shape."""
    with torch.no_grad():
        near = F.max_pool3d(coverage, (1, 7, 7), 1, (0, 3, 3))
        edge = near + F.max_pool3d(-coverage, (1, 7, 7), 1, (0, 3, 3))
        weight = 1 + 3 * near + 3 * edge
        weight = weight / weight.mean()
    error = output.float() - clip
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    l1 = (weight * error.abs()).mean()
    return l1 + 0.5 * (weight * error * error).mean() + 0.5 * (across + down), l1


def vae_loss(vae, clip, coverage, kl_weight, latent_noise):
    """The decoder also sees latents a little off, as the transformer will make them."""
    posterior = vae.encode(clip).latent_dist
    latent = posterior.sample()
    level = latent_noise * torch.rand(len(clip), 1, 1, 1, 1, device=clip.device) ** 2
    rms = latent.detach().float().square().mean().sqrt()
    latent = latent + level * rms * torch.randn_like(latent)
    loss, l1 = reconstruction_loss(vae.decode(latent).sample, clip, coverage)
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance).mean()
    return loss + kl_weight * kl, l1.detach(), kl.detach()


def train(run, vae, options):
    flat = FlatParameters(run, [vae], weight_decay=1e-4, average=0.999)
    clock = Clock(run, options.seconds, options.steps, options.rate, warm_up=100)
    sums, last = [], time.time()
    share = lambda count: max(1, count // run.size)
    while clock.tick():
        if clock.part < options.crop_part:
            scenes = render.random_scenes(random_combinations(share(options.crops), run.device))
            clip, coverage = render.random_crops(scenes, _CROP_FRAMES, _CROP_SIZE)
        else:
            scenes = render.random_scenes(random_combinations(share(options.clips), run.device))
            clip, coverage = render.draw(scenes)
        with run.autocast():
            loss, l1, kl = vae_loss(vae, clip.contiguous(memory_format=torch.channels_last_3d),
                                    coverage, options.kl, options.latent_noise)
        loss.backward()
        norm = flat.step(clock.rate())
        sums.append(l1)
        if time.time() - last > 15:
            run.log(f"vae {clock.step} ({clock.part:.0%}) L1 {torch.stack(sums).mean():.4f} "
                    f"kl {kl:.2f} norm {norm:.2f} rate {clock.rate():.1e} "
                    f"{clock.per_second():.1f}/s")
            sums, last = [], time.time()
    flat.use_averages()
    run.log(f"vae: {clock.step} steps")


@torch.no_grad()
def fit_scaling_factor(run, vae):
    """1 / rms of the latents."""
    squares = []
    for _ in range(16):
        clip, _ = render.draw(render.random_scenes(random_combinations(32, run.device)))
        squares.append(vae.encode(clip).latent_dist.mode().float().square().mean())
    factor = run.agreed(torch.stack(squares).mean().rsqrt().item())
    vae.register_to_config(scaling_factor=round(factor, 6))
    run.log(f"vae: scaling factor {vae.config.scaling_factor}")


def main():
    options = arguments()
    run = Run(options.seed)
    vae = networks.new_vae().to(run.device).train()
    train(run, vae, options)
    fit_scaling_factor(run, vae.eval().half().float())
    if run.rank == 0:
        networks.save_half(vae, options.folder + "/vae")
    run.close()


if __name__ == "__main__":
    main()
