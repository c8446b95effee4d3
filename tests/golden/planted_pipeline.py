"""Mistakes in schedulers, guidance, random numbers and image input."""

import math
import types

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders import autoencoder_kl_cogvideox as vae_code
from diffusers.pipelines.cogvideo import pipeline_cogvideox, pipeline_cogvideox_image2video
from diffusers.schedulers import scheduling_dpm_cogvideox

import reference
from planted_errors import error


@error("DPM: no discarded draw", "rope-dpm")
def _(pipe, patch):
    draw, step = scheduling_dpm_cogvideox.randn_tensor, pipe.scheduler.step
    drawn = []

    def once(*args, **more):
        if not drawn:
            drawn.append(draw(*args, **more))
        return drawn[0]

    def fresh(*args, eta=0.0, generator=None, **more):  # the pipeline looks for the last two names
        drawn.clear()
        return step(*args, generator=generator, **more)

    patch(scheduling_dpm_cogvideox, "randn_tensor", once)
    patch(pipe.scheduler, "step", fresh)


class NextEntry:
    """Stands for num_inference_steps: 1000 // it = distance to the next entry of the list."""

    def __init__(self, scheduler):
        self.scheduler, self.calls = scheduler, 0

    def __rfloordiv__(self, _):
        times = self.scheduler.timesteps.tolist() + [-1]
        self.calls += 1
        return times[self.calls - 1] - times[self.calls]


def previous_is_next_entry(pipe, patch):
    set_timesteps = pipe.scheduler.set_timesteps

    def planted(steps, device=None):
        set_timesteps(steps, device=device)
        pipe.scheduler.num_inference_steps = NextEntry(pipe.scheduler)

    patch(pipe.scheduler, "set_timesteps", planted)


error("DDIM: previous step = next list entry", "sincos-ddim")(previous_is_next_entry)
error("DPM: previous step = next list entry", "rope-dpm")(previous_is_next_entry)


@error("timestep spacing as in the config (linspace)", "sincos-ddim")
def _(pipe, patch):
    pipe.scheduler = type(pipe.scheduler).from_config(
        pipe.scheduler.config, timestep_spacing="linspace")


@error("SNR shift after the rescale", "sincos-ddim")
def _(pipe, patch):
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    root = torch.cumprod(1 - betas, 0).sqrt()
    alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    patch(pipe.scheduler, "alphas_cumprod", alphas / (3 + (1 - 3) * alphas))


@error("dynamic guidance from the step index", "rope-dpm-dynamic")
def _(pipe, patch):
    calls = []

    def cos(_):
        calls.append(1)
        return math.cos(math.pi * ((9 - (len(calls) - 1)) / 9) ** 5)

    patch(pipeline_cogvideox, "math", types.SimpleNamespace(pi=math.pi, cos=cos))


@error("noise drawn channels before frames", "rope-ddim-wide")
def _(pipe, patch):
    original = pipeline_cogvideox.randn_tensor
    patch(pipeline_cogvideox, "randn_tensor", lambda shape, **more: original(
        (shape[0], shape[2], shape[1], *shape[3:]), **more).transpose(1, 2).contiguous())


@error("1.5: the last padding frame dropped, not the first", "rope15-ddim")
def _(pipe, patch):
    patch(reference, "without_padding", lambda latents, kept: latents[:, :kept])


@error("1.5 image latents multiplied by the scaling factor", "rope15-i2v-dpm")
def _(pipe, patch):
    pipe.vae.register_to_config(invert_scale_latents=False)


@error("mean of the image posterior (noise still drawn)", "learned-ddim")
def _(pipe, patch):
    original = vae_code.DiagonalGaussianDistribution.sample

    def mean(self, generator=None):
        original(self, generator)
        return self.mean

    patch(vae_code.DiagonalGaussianDistribution, "sample", mean)


@error("latent noise before the image posterior's", "rope15-i2v-dpm")
def _(pipe, patch):
    draw, retrieve = pipeline_cogvideox_image2video.randn_tensor, \
        pipeline_cogvideox_image2video.retrieve_latents
    kept = []

    def early(encoded, generator):
        kept.append(draw((1, 6, 16, 6, 10), generator=generator, dtype=torch.float32))
        return retrieve(encoded, generator)

    patch(pipeline_cogvideox_image2video, "retrieve_latents", early)
    patch(pipeline_cogvideox_image2video, "randn_tensor", lambda *args, **more: kept[0])


@error("bicubic instead of Lanczos", "learned-dpm")
def _(pipe, patch):
    pipe.video_processor.register_to_config(resample="bicubic")


@error("VAE encode: padding on both sides when downsampling", "rope15-i2v-ddim-tiled")
def _(pipe, patch):
    for block in pipe.vae.encoder.down_blocks:
        for layer in block.downsamplers or ():
            def forward(x, layer=layer):
                batch, channels, frames, height, width = x.shape
                x = x.permute(0, 2, 1, 3, 4).flatten(0, 1)
                x = layer.conv(F.pad(x, (1, 0, 1, 0)))
                return x.unflatten(0, (batch, frames)).permute(0, 2, 1, 3, 4)
            patch(layer, "forward", forward)
