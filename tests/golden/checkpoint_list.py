"""The small checkpoints: configurations and, per tensor, mean, standard deviation and seed.

A tensor's values follow from its line alone: u = torch.rand(shape) (fp32) from a CPU generator with
that seed, value = (u - 0.5) * (std * sqrt(12)) + mean, three fp32 operations in this order.
"""

import math

TEXT_WIDTH = 64
FFN_WIDTH = 96
TEXT_HEADS = 4
TEXT_HEAD_DIM = 16

BLOCK_NAMES = {"Down": ["CogVideoXDownBlock3D"] * 4, "Up": ["CogVideoXUpBlock3D"] * 4}


def model_index(image_to_video):
    kind = "CogVideoXImageToVideoPipeline" if image_to_video else "CogVideoXPipeline"
    return {
        "_class_name": kind,
        "scheduler": ["diffusers", "CogVideoXDDIMScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLCogVideoX"],
    }


def scheduler(snr_shift_scale, timestep_spacing="trailing"):
    return {
        "_class_name": "CogVideoXDDIMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "set_alpha_to_one": True,
        "snr_shift_scale": snr_shift_scale,
        "steps_offset": 0,
        "timestep_spacing": timestep_spacing,
        "trained_betas": None,
    }


def text_encoder():
    return {
        "architectures": ["T5EncoderModel"],
        "d_ff": FFN_WIDTH,
        "d_kv": TEXT_HEAD_DIM,
        "d_model": TEXT_WIDTH,
        "dense_act_fn": "gelu_new",
        "dropout_rate": 0.1,
        "eos_token_id": 1,
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": False,
        "is_gated_act": True,
        "layer_norm_epsilon": 1e-06,
        "model_type": "t5",
        "num_heads": TEXT_HEADS,
        "num_layers": 2,
        "pad_token_id": 0,
        "relative_attention_max_distance": 128,
        "relative_attention_num_buckets": 32,
        "tie_word_embeddings": False,
        "vocab_size": 192,
    }


def tokenizer_files(max_length):
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return {
        "tokenizer/tokenizer_config.json": {
            "additional_special_tokens": [],
            "extra_ids": 0,
            "legacy": True,
            "model_max_length": max_length,
            "sp_model_kwargs": {},
            "tokenizer_class": "T5Tokenizer",
            **special,
        },
        "tokenizer/special_tokens_map.json": special,
    }


def vae(channels, groups, layers, sample, scaling_factor, **more):
    return {
        "_class_name": "AutoencoderKLCogVideoX",
        "act_fn": "silu",
        "block_out_channels": channels,
        "down_block_types": BLOCK_NAMES["Down"],
        "in_channels": 3,
        "latent_channels": 16,
        "layers_per_block": layers,
        "norm_eps": 1e-06,
        "norm_num_groups": groups,
        "out_channels": 3,
        "sample_height": sample[0],
        "sample_width": sample[1],
        "scaling_factor": scaling_factor,
        "temporal_compression_ratio": 4,
        "up_block_types": BLOCK_NAMES["Up"],
        **more,
    }


def transformer(heads, layers, sample, frames, text_tokens, time_width, **more):
    return {
        "_class_name": "CogVideoXTransformer3DModel",
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "attention_head_dim": 64,
        "in_channels": 16,
        "max_text_seq_length": text_tokens,
        "norm_eps": 1e-05,
        "num_attention_heads": heads,
        "num_layers": layers,
        "out_channels": 16,
        "patch_size": 2,
        "sample_frames": frames,
        "sample_height": sample[0],
        "sample_width": sample[1],
        "spatial_interpolation_scale": 1.875,
        "temporal_compression_ratio": 4,
        "temporal_interpolation_scale": 1.0,
        "text_embed_dim": TEXT_WIDTH,
        "time_embed_dim": time_width,
        "timestep_activation_fn": "silu",
        **more,
    }


def configs(image_to_video, transformer_config, vae_config, scheduler_config):
    return {
        "model_index.json": model_index(image_to_video),
        "transformer/config.json": transformer_config,
        "vae/config.json": vae_config,
        "text_encoder/config.json": text_encoder(),
        "scheduler/scheduler_config.json": scheduler_config,
        **tokenizer_files(transformer_config["max_text_seq_length"]),
    }


ROTARY = {"use_rotary_positional_embeddings": True}
VERSION_15 = {**ROTARY, "patch_size_t": 2, "patch_bias": False,
              "use_learned_positional_embeddings": False}

# name -> configs. Three, five, two, four and three heads, so that four ranks never get even shares
# but once. The first scheduler says "linspace", as one old hub file does: trailing must win.
CHECKPOINTS = {
    "t2v-sincos": configs(
        False,
        transformer(3, 3, (8, 12), 17, 19, 48, use_rotary_positional_embeddings=False),
        vae([16, 16, 32, 32], 4, 1, (128, 160), 1.15258426),
        scheduler(3.0, "linspace")),
    "t2v-rope": configs(
        False,
        transformer(5, 2, (8, 12), 17, 31, 64, **ROTARY),
        vae([16, 24, 32, 32], 8, 1, (96, 160), 0.7),
        scheduler(1.0)),
    "i2v-learned": configs(
        True,
        transformer(2, 2, (6, 10), 9, 17, 32, in_channels=32, **ROTARY,
                    use_learned_positional_embeddings=True),
        vae([16, 16, 16, 32], 8, 2, (128, 160), 0.7, invert_scale_latents=False),
        scheduler(1.0)),
    "t2v-rope15": configs(
        False,
        transformer(4, 2, (14, 16), 17, 25, 48, **VERSION_15),
        vae([16, 16, 32, 32], 8, 1, (128, 160), 0.7, invert_scale_latents=True),
        scheduler(1.0)),
    "i2v-rope15-ofs": configs(
        True,
        transformer(3, 2, (14, 16), 17, 23, 32, in_channels=32, ofs_embed_dim=32, **VERSION_15),
        vae([16, 16, 32, 32], 4, 1, (96, 80), 0.7, invert_scale_latents=True),
        scheduler(1.0)),
}


def norm_like(name):
    """Whether the tensor belongs to a normalisation, whose weight is near 1 and bias near 0."""
    parts = name.split(".")
    return len(parts) > 1 and (
        parts[-2] in ("norm", "norm_q", "norm_k", "norm_final", "norm_layer", "layer_norm",
                      "final_layer_norm", "norm_out", "norm1", "norm2"))


def transformer_law(name, shape, config):
    """(mean, std) of a transformer tensor; modulation and gates get rms 0.5, the prediction ~1.

    What enters the first LayerNorm and the q/k norms is small, so that a wrong epsilon shows.
    """
    if norm_like(name):
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.2)
    if name.endswith("pos_embedding"):
        return 0.0, 0.1
    small = 1.0
    if ".to_q." in name or ".to_k." in name:
        small = 0.2
    elif name.startswith("patch_embed"):
        small = 0.3
    if name.endswith("bias"):
        return 0.0, 0.3 if ".linear." in name else 0.2 * small
    fan_in = math.prod(shape[1:])
    gain = small
    if ".norm" in name or "norm_out" in name:  # modulation: silu(emb) has rms ~0.7
        gain = 0.6
    elif "_embedding.linear" in name:
        gain = 1.5
    elif name.startswith("proj_out"):
        gain = 0.9
    return 0.0, gain / math.sqrt(fan_in)


def vae_law(name, shape, config):
    """(mean, std) of a VAE tensor; conv_y's bias keeps the spatial norm away from 1 and from 0."""
    if norm_like(name):
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.2)
    if name.endswith("bias"):
        return (0.7, 0.2) if "conv_y" in name else (0.0, 0.1)
    fan_in = math.prod(shape[1:])
    gain = 1.4
    if "conv_y" in name or "conv_b" in name:
        gain = 0.25
    elif name.startswith("decoder.conv_out"):
        gain = 0.6
    elif "upsamplers" in name or "downsamplers" in name or "conv_out" in name:
        gain = 1.0
    return 0.0, gain / math.sqrt(fan_in)


def text_law(name, shape, config):
    """(mean, std) of a T5 tensor; q is small because T5 does not divide by sqrt(d_kv)."""
    if norm_like(name):
        return 1.0, 0.2
    if name.startswith("shared") or "relative_attention_bias" in name:
        return 0.0, 1.0
    gain = 1.5 / math.sqrt(TEXT_HEAD_DIM) if name.endswith(".q.weight") else 1.0
    return 0.0, gain / math.sqrt(math.prod(shape[1:]))


LAWS = {"transformer": transformer_law, "vae": vae_law, "text_encoder": text_law}
