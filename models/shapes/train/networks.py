"""The three networks and the scheduler of the small model, as the reference's classes."""
import copy
import json
import pathlib

import torch
from diffusers import (AutoencoderKLCogVideoX, CogVideoXDPMScheduler, CogVideoXTransformer3DModel)
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from transformers import T5Config, T5EncoderModel

import grammar

LATENT_FRAMES = (grammar.FRAMES - 1) // 4 + 1
LATENT_HEIGHT, LATENT_WIDTH, LATENT_CHANNELS = grammar.HEIGHT // 8, grammar.WIDTH // 8, 16
_TEXT_WIDTH = 128


def new_vae():
    return AutoencoderKLCogVideoX(
        block_out_channels=(32, 32, 64, 64), latent_channels=LATENT_CHANNELS, layers_per_block=1,
        norm_num_groups=8, sample_height=grammar.HEIGHT, sample_width=grammar.WIDTH,
        scaling_factor=1.0)


def new_transformer():
    model = CogVideoXTransformer3DModel(
        num_attention_heads=6, attention_head_dim=64, num_layers=4, time_embed_dim=64,
        in_channels=LATENT_CHANNELS, out_channels=LATENT_CHANNELS, text_embed_dim=_TEXT_WIDTH,
        sample_width=LATENT_WIDTH, sample_height=LATENT_HEIGHT, sample_frames=grammar.FRAMES,
        max_text_seq_length=grammar.MAX_TOKENS, use_rotary_positional_embeddings=True)
    gates = [n.linear for b in model.transformer_blocks for n in (b.norm1, b.norm2)]
    for layer in gates + [model.norm_out.linear, model.proj_out]:  # blocks start as identities
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return model


def new_text_encoder(vocabulary):
    return T5EncoderModel(T5Config(
        vocab_size=-(-vocabulary // 8) * 8, d_model=_TEXT_WIDTH, d_kv=32, num_heads=4,
        d_ff=2 * _TEXT_WIDTH, num_layers=2, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        is_encoder_decoder=False, use_cache=False, decoder_start_token_id=0))


def scheduler():
    return CogVideoXDPMScheduler(
        num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        clip_sample=False, set_alpha_to_one=True, prediction_type="v_prediction",
        timestep_spacing="trailing", rescale_betas_zero_snr=True, snr_shift_scale=1.0)


def rotary_embedding(device):
    grid = (LATENT_HEIGHT // 2, LATENT_WIDTH // 2)
    cos, sin = get_3d_rotary_pos_embed(64, ((0, 0), grid), grid, LATENT_FRAMES)
    return cos.to(device), sin.to(device)


def save_half(model, folder):
    """Writes an fp16 copy and leaves the model as it is."""
    copy.deepcopy(model).cpu().half().save_pretrained(folder, safe_serialization=True)
    config = pathlib.Path(folder) / "config.json"
    kept = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
    config.write_text(json.dumps(kept, indent=2) + "\n")
    for file in pathlib.Path(folder).iterdir():
        file.chmod(0o644)
