#!/usr/bin/env python3
"""Writes the configuration of CogVideoX-2b or -5b as a checkpoint folder without weights, for --random-weights.

    make_checkpoint.py 2b|5b FOLDER [GOLDEN]      GOLDEN: tests/golden, for a tokenizer
The text encoder is T5-XXL's size; the tokenizer is the tests' small one, whose ids are within its vocabulary.
"""
import json, os, shutil, sys

name, folder = sys.argv[1:3]
golden = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(__file__), "..", "golden")
with open(os.path.join(golden, "checkpoints", "t2v-rope.json")) as f:
    configs = json.load(f)["configs"]

heads, layers, rotary = {"2b": (30, 30, False), "5b": (48, 42, True)}[name]
configs["transformer/config.json"].update(
    num_attention_heads=heads, num_layers=layers, use_rotary_positional_embeddings=rotary, max_text_seq_length=226,
    sample_frames=49, sample_height=60, sample_width=90, text_embed_dim=4096, time_embed_dim=512)
configs["vae/config.json"].update(block_out_channels=[128, 256, 256, 512], layers_per_block=3, norm_num_groups=32,
                                  sample_height=480, sample_width=720)
configs["text_encoder/config.json"].update(d_ff=10240, d_kv=64, d_model=4096, num_heads=64, num_layers=24, vocab_size=32128)
configs["tokenizer/tokenizer_config.json"]["model_max_length"] = 226
configs["model_index.json"]["scheduler"] = ["diffusers", "CogVideoXDPMScheduler"]

for path, content in configs.items():
    os.makedirs(os.path.dirname(os.path.join(folder, path)) or folder, exist_ok=True)
    with open(os.path.join(folder, path), "w") as f:
        json.dump(content, f)
shutil.copy(os.path.join(golden, "spiece.model"), os.path.join(folder, "tokenizer", "spiece.model"))
