"""Mistakes in the VAE's decoder: the latents stay right, the frames do not."""

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import (
    CogVideoXCausalConv3d, CogVideoXSpatialNorm3D)
from diffusers.models.autoencoders.vae import DecoderOutput

from planted_errors import error

CONVS = CogVideoXCausalConv3d


@error("VAE: norm statistics over the whole clip", "rope-ddim-wide")
def _(pipe, patch):
    patch(pipe.vae, "num_latent_frames_batch_size", 5)


@error("VAE: short chunk last instead of first", "sincos-ddim-short-text")
def _(pipe, patch):
    decoder = pipe.vae.decoder

    def decode(z, return_dict=True):
        parts, cache = [], None
        for piece in (z[:, :, :2], z[:, :, 2:]):
            part, cache = decoder(piece, conv_cache=cache)
            parts.append(part)
        return DecoderOutput(sample=torch.cat(parts, 2))

    patch(pipe.vae, "_decode", decode)


@error("VAE: zeros instead of the first frame before the clip", "rope-dpm")
def _(pipe, patch):
    original = CONVS.fake_context_parallel_forward

    def padded(self, inputs, conv_cache=None):
        if self.time_kernel_size > 1 and conv_cache is None:
            return F.pad(inputs, (0, 0, 0, 0, 2, 0))
        return original(self, inputs, conv_cache)

    patch(CONVS, "fake_context_parallel_forward", padded)


@error("VAE: convolution cache lost between chunks", "sincos-ddim-short-text")
def _(pipe, patch):
    original = CONVS.fake_context_parallel_forward
    patch(CONVS, "fake_context_parallel_forward",
          lambda self, inputs, conv_cache=None: original(self, inputs, None))


@error("VAE: 1 + conv_y", "rope-ddim-one-frame")
def _(pipe, patch):
    for module in pipe.vae.decoder.modules():
        if isinstance(module, CogVideoXSpatialNorm3D):
            module.conv_y.conv.bias.data += 1


@error("VAE: plain nearest resize for odd frame counts", "sincos-ddim")
def _(pipe, patch):
    def forward(self, f, zq, conv_cache=None):
        zq = F.interpolate(zq, size=f.shape[-3:])
        return self.norm_layer(f) * self.conv_y(zq)[0] + self.conv_b(zq)[0], {}

    patch(CogVideoXSpatialNorm3D, "forward", forward)


@error("VAE: spatial norm from latents not divided by the scaling factor", "rope-dpm-unguided")
def _(pipe, patch):
    for module in pipe.vae.decoder.modules():
        if isinstance(module, CogVideoXSpatialNorm3D):
            module.conv_y.conv.weight.data *= 0.7
            module.conv_b.conv.weight.data *= 0.7


@error("VAE: image's inverse scaling used when decoding too", "rope15-ddim")
def _(pipe, patch):
    patch(pipe, "vae_scaling_factor_image", 1 / 0.7)


@error("VAE: tiles not blended", "rope-ddim-tiled")
def _(pipe, patch):
    patch(pipe.vae, "blend_v", lambda above, tile, extent: tile)
    patch(pipe.vae, "blend_h", lambda left, tile, extent: tile)


@error("VAE: vertical blend over half the overlap", "rope-ddim-tiled")
def _(pipe, patch):
    blend_v = pipe.vae.blend_v
    patch(pipe.vae, "blend_v", lambda above, tile, extent: blend_v(above, tile, extent // 2))


@error("VAE: tiling ignored", "rope-ddim-tiled")
def _(pipe, patch):
    patch(pipe.vae, "enable_tiling", lambda: None)


@error("VAE: half as many norm groups", "learned-ddim")
def _(pipe, patch):
    for module in pipe.vae.decoder.modules():
        if isinstance(module, torch.nn.GroupNorm):
            patch(module, "num_groups", module.num_groups // 2)
