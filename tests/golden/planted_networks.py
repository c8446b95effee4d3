"""Mistakes in the transformer, its tables and the text encoder."""

import math

import torch
from diffusers.models import embeddings
from diffusers.models.normalization import CogVideoXLayerNormZero
from diffusers.pipelines.cogvideo import pipeline_cogvideox

from planted_errors import error


def modulation(order):
    """norm1/norm2 that read the six chunks in another order."""
    def forward(self, hidden, text, temb):
        chunks = self.linear(self.silu(temb)).chunk(6, dim=1)
        shift, scale, gate, text_shift, text_scale, text_gate = (chunks[i][:, None] for i in order)
        return (self.norm(hidden) * (1 + scale) + shift,
                self.norm(text) * (1 + text_scale) + text_shift, gate, text_gate)
    return forward


@error("modulation: text chunks before video chunks", "sincos-ddim")
def _(pipe, patch):
    patch(CogVideoXLayerNormZero, "forward", modulation((3, 4, 5, 0, 1, 2)))


@error("modulation: scale before shift", "rope15-ddim")
def _(pipe, patch):
    patch(CogVideoXLayerNormZero, "forward", modulation((1, 0, 2, 4, 3, 5)))


@error("text rows take the video gate", "rope-dpm")
def _(pipe, patch):
    patch(CogVideoXLayerNormZero, "forward", modulation((0, 1, 2, 3, 4, 2)))


@error("exact instead of tanh GELU", "sincos-ddim")
def _(pipe, patch):
    for block in pipe.transformer.transformer_blocks:
        patch(block.ff.net[0], "approximate", "none")


@error("q/k norm epsilon 1e-5", "rope-dpm")
def _(pipe, patch):
    for block in pipe.transformer.transformer_blocks:
        patch(block.attn1.norm_q, "eps", 1e-5)
        patch(block.attn1.norm_k, "eps", 1e-5)


@error("block norm epsilon 1e-6", "learned-ddim")
def _(pipe, patch):
    for block in pipe.transformer.transformer_blocks:
        patch(block.norm1.norm, "eps", 1e-6)
        patch(block.norm2.norm, "eps", 1e-6)


@error("q/k norm missing on text rows", "rope15-i2v-dpm")
def _(pipe, patch):
    for block in pipe.transformer.transformer_blocks:
        for norm in (block.attn1.norm_q, block.attn1.norm_k):
            patch(norm, "forward", lambda x, norm=norm: torch.cat(
                [x[:, :, :13], torch.nn.LayerNorm.forward(norm, x[:, :, 13:])], 2))


@error("RoPE rotates halves instead of pairs", "rope-dpm")
def _(pipe, patch):
    original = embeddings.apply_rotary_emb
    patch(embeddings, "apply_rotary_emb",
          lambda x, table: original(x, table, use_real_unbind_dim=-2))


@error("RoPE end point exclusive", "rope-dpm")
def _(pipe, patch):
    original = embeddings.get_3d_rotary_pos_embed

    def table(embed_dim, crops_coords, grid_size, temporal_size, device=None):
        start, stop = crops_coords
        # The stop with which the inclusive formula ends at start + (n-1)(stop-start)/n.
        ends = tuple((a + (n - 1) * (b - a) / n) * n / (n - 1)
                     for a, b, n in zip(start, stop, grid_size))
        return original(embed_dim, (start, ends), grid_size, temporal_size, device=device)

    patch(pipeline_cogvideox, "get_3d_rotary_pos_embed", table)


@error("RoPE grid not fitted into the base grid", "rope-ddim-wide")
def _(pipe, patch):
    patch(pipeline_cogvideox, "get_resize_crop_region_for_grid",
          lambda grid, width, height: ((0, 0), grid))


@error("half rounds up in the RoPE grid", "rope-ddim-one-frame")
def _(pipe, patch):
    patch(pipeline_cogvideox, "round", lambda x: math.floor(x + 0.5))


@error("RoPE missing, 1.5", "rope15-i2v-ddim-tiled")
def _(pipe, patch):
    patch(pipe.transformer.config, "use_rotary_positional_embeddings", False)


@error("sin-cos table: row before column", "sincos-dpm-rebuilt-table")
def _(pipe, patch):
    original = embeddings.get_3d_sincos_pos_embed

    def swapped(width, *args, **kwargs):
        table = original(width, *args, **kwargs)
        quarter, spatial = width // 4, 3 * width // 8
        return torch.cat([table[..., :quarter], table[..., quarter + spatial:],
                          table[..., quarter:quarter + spatial]], -1)

    patch(embeddings, "get_3d_sincos_pos_embed", swapped)


@error("sin-cos table of the config's size, cut", "sincos-ddim-short-text")
def _(pipe, patch):
    original = embeddings.get_3d_sincos_pos_embed

    def cut(width, grid, frames, *args, **kwargs):
        table = original(width, (6, 4), frames, *args, **kwargs)
        if grid == (6, 4):
            return table
        return table[:, :grid[0] * grid[1]] if table.shape[1] >= grid[0] * grid[1] else table

    patch(embeddings, "get_3d_sincos_pos_embed", cut)


@error("learned table not added to text rows", "learned-ddim")
def _(pipe, patch):
    table = pipe.transformer.patch_embed.pos_embedding.clone()
    table[:, :17] = 0
    patch(pipe.transformer.patch_embed, "pos_embedding", table)


@error("patch features in the order (row, column, channel)", "rope-dpm")
def _(pipe, patch):
    weight = pipe.transformer.patch_embed.proj.weight
    weight.data = weight.data.reshape(weight.shape[0], 2, 2, -1).permute(0, 3, 1, 2).contiguous()


@error("1.5 patches: channel before frame swapped", "rope15-ddim")
def _(pipe, patch):
    weight = pipe.transformer.patch_embed.proj.weight
    weight.data = weight.data.reshape(-1, 2, 16, 4).transpose(1, 2).reshape(weight.shape)


@error("1.5 patch bias left out, as the config says", "rope15-ddim")
def _(pipe, patch):
    pipe.transformer.patch_embed.proj.bias.data.zero_()


@error("time embedding: sine before cosine", "sincos-ddim")
def _(pipe, patch):
    patch(pipe.transformer.time_proj, "flip_sin_to_cos", False)


@error("ofs embedding left out", "rope15-i2v-dpm")
def _(pipe, patch):
    patch(pipe.transformer, "ofs_embedding", None)


@error("norm_final left out", "learned-dpm")
def _(pipe, patch):
    patch(pipe.transformer, "norm_final", torch.nn.Identity())


@error("T5 scores divided by the root of d_kv", "rope-dpm")
def _(pipe, patch):
    for block in pipe.text_encoder.encoder.block:
        patch(block.layer[0].SelfAttention, "scaling", 0.25)


@error("T5 does not see pads", "sincos-dpm-rebuilt-table")
def _(pipe, patch):
    original = pipe.text_encoder.forward
    patch(pipe.text_encoder, "forward",
          lambda ids, **more: original(ids, attention_mask=(ids != 0).long(), **more))


@error("T5 position bias one token off", "rope-dpm-unguided")
def _(pipe, patch):
    attention = pipe.text_encoder.encoder.block[0].layer[0].SelfAttention
    original = attention._relative_position_bucket
    patch(attention, "_relative_position_bucket", lambda p, **more: original(p + 1, **more))
