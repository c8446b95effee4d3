#!/usr/bin/env python3
"""The smallest pipelines, as diffusers' own tests make them: heads of 8 with the sin-cos table, a learned table in F64. Compares as
saved.py does and prints a line each.

usage: dummies.py [--bin FOLDER]
"""

import argparse
import pathlib
import tempfile

import diffusers
import torch
import transformers

import reference
import saved
from reference import HERE

REQUEST = {"prompt": "a red circle", "negative_prompt": "", "guidance_scale": 6.0, "dynamic_cfg": False, "seed": 5, "vae_tiling": False,
           "scheduler": "ddim", "frames": 9, "height": 16, "width": 16, "steps": 3, "max_sequence_length": 16}
SMALL = {"in_channels": 4, "out_channels": 4, "time_embed_dim": 2, "text_embed_dim": 32, "num_layers": 2, "sample_width": 2,
         "sample_height": 2, "sample_frames": 9, "patch_size": 2, "temporal_compression_ratio": 4, "max_text_seq_length": 16}
TRANSFORMERS = {
    "heads of 8": {**SMALL, "num_attention_heads": 4, "attention_head_dim": 8},
    "heads of 12": {**SMALL, "num_attention_heads": 4, "attention_head_dim": 12},
    "heads of 5": {**SMALL, "num_attention_heads": 16, "attention_head_dim": 5},
    "learned table": {**SMALL, "in_channels": 8, "num_attention_heads": 2, "attention_head_dim": 16,
                      "use_rotary_positional_embeddings": True, "use_learned_positional_embeddings": True},
}


def pipeline(config):
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4, block_out_channels=(8, 8, 8, 8),
        latent_channels=4, layers_per_block=1, norm_num_groups=2, temporal_compression_ratio=4)
    text = transformers.T5Config(vocab_size=192, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu")
    kind = diffusers.CogVideoXImageToVideoPipeline if config["in_channels"] == 8 else diffusers.CogVideoXPipeline
    tokenizer = transformers.T5Tokenizer.from_pretrained(reference.materialise(reference.read_checkpoint("t2v-rope")) / "tokenizer")
    return kind(tokenizer=tokenizer, text_encoder=transformers.T5EncoderModel(text), vae=vae,
                transformer=diffusers.CogVideoXTransformer3DModel(**config), scheduler=diffusers.CogVideoXDDIMScheduler())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=HERE.parents[1] / "build" / "release" / "bin")
    arguments = parser.parse_args()
    for name, config in TRANSFORMERS.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            pipe = pipeline(config)
            pipe.scheduler.register_to_config(prediction_type="v_prediction")
            pipe.save_pretrained(folder / "saved")
            request = {**REQUEST, "image": "images/" + min(p.name for p in (HERE / "images").glob("*.png"))} \
                if config["in_channels"] == 8 else REQUEST
            loaded = saved.load(folder / "saved", type(pipe), request)
            expected, _, _ = reference.run(loaded, request)
            found = saved.ours(arguments.bin, folder / "saved", None, request, folder, {})
            difference = ((found.double() - expected.double()).abs().max() / expected.double().std()).item()
            print(f"{name}: {difference:.1e}", flush=True)
            if not difference <= saved.LIMIT:
                raise SystemExit(f"{name}: above {saved.LIMIT}")


if __name__ == "__main__":
    main()
