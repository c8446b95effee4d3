#!/usr/bin/env python3
"""Writes a checkpoint folder of CogVideoX-2b's or -5b's sizes.

    make_checkpoint.py 2b|5b FOLDER [--golden tests/golden] [--weights none|zeros|random] [--small-text]

none: configurations alone, for --random-weights. zeros: weight files with holes, which take no room on the disk.
random: drawn with torch, on a GPU where there is one; 5b takes 21 GB. The VAE's encoder, which text-to-video ranks do
not load, is left out. The text encoder is T5-XXL's size, or of 2 narrow layers; the tokenizer is the tests' small one,
whose ids are within its vocabulary.
"""
import argparse
import json
import math
import os
import shutil
import struct

BF16_BYTES = 2
SHARD_BYTES = 10 * 10**9
HERE = os.path.dirname(os.path.abspath(__file__))


def sizes_of(name, golden, small_text=False):
    """path -> content of the configuration files."""
    with open(os.path.join(golden, "checkpoints", "t2v-rope.json")) as f:
        configs = json.load(f)["configs"]
    heads, layers, rotary = {"2b": (30, 30, False), "5b": (48, 42, True)}[name]
    configs["transformer/config.json"].update(
        num_attention_heads=heads, num_layers=layers, use_rotary_positional_embeddings=rotary, max_text_seq_length=226,
        sample_frames=49, sample_height=60, sample_width=90, text_embed_dim=4096, time_embed_dim=512)
    configs["vae/config.json"].update(block_out_channels=[128, 256, 256, 512], layers_per_block=3, norm_num_groups=32,
                                      sample_height=480, sample_width=720)
    configs["text_encoder/config.json"].update(d_ff=10240, d_kv=64, d_model=4096, num_heads=64, num_layers=24,
                                               vocab_size=32128)
    if small_text:
        configs["text_encoder/config.json"].update(d_ff=256, d_model=128, num_heads=2, num_layers=2)
        configs["transformer/config.json"].update(text_embed_dim=128)
    configs["tokenizer/tokenizer_config.json"]["model_max_length"] = 226
    configs["model_index.json"]["scheduler"] = ["diffusers", "CogVideoXDPMScheduler"]
    return configs


def linear(name, out, *inputs):
    return [(name + ".weight", (out, *inputs)), (name + ".bias", (out,))]


def transformer_tensors(config):
    width, time = config["num_attention_heads"] * config["attention_head_dim"], config["time_embed_dim"]
    patch = config["patch_size"]
    yield from linear("patch_embed.proj", width, config["in_channels"], patch, patch)
    yield from linear("patch_embed.text_proj", width, config["text_embed_dim"])
    yield from linear("time_embedding.linear_1", time, width)
    yield from linear("time_embedding.linear_2", time, time)
    for i in range(config["num_layers"]):
        block = f"transformer_blocks.{i}."
        for norm in ("norm1", "norm2"):
            yield from linear(block + norm + ".linear", 6 * width, time)
            yield from linear(block + norm + ".norm", width)
        for norm in ("norm_q", "norm_k"):
            yield from linear(block + "attn1." + norm, config["attention_head_dim"])
        for product in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from linear(block + "attn1." + product, width, width)
        yield from linear(block + "ff.net.0.proj", 4 * width, width)
        yield from linear(block + "ff.net.2", width, 4 * width)
    yield from linear("norm_final", width)
    yield from linear("norm_out.linear", 2 * width, time)
    yield from linear("norm_out.norm", width)
    yield from linear("proj_out", config["out_channels"] * patch * patch, width)


def decoder_tensors(config):
    latents, channels = config["latent_channels"], config["block_out_channels"][::-1]

    def norm(name, width):
        yield from linear(name + ".norm_layer", width)
        for product in ("conv_y", "conv_b"):
            yield from linear(f"{name}.{product}.conv", width, latents, 1, 1, 1)

    def conv(name, out, inputs):
        return linear(name + ".conv", out, inputs, 3, 3, 3)

    def resnet(name, out, inputs):
        yield from norm(name + ".norm1", inputs)
        yield from conv(name + ".conv1", out, inputs)
        yield from norm(name + ".norm2", out)
        yield from conv(name + ".conv2", out, out)
        if inputs != out:
            yield from linear(name + ".conv_shortcut", out, inputs, 1, 1, 1)

    yield from conv("decoder.conv_in", channels[0], latents)
    for i in range(2):
        yield from resnet(f"decoder.mid_block.resnets.{i}", channels[0], channels[0])
    before = channels[0]
    for i, width in enumerate(channels):
        block = f"decoder.up_blocks.{i}."
        for j in range(config["layers_per_block"] + 1):
            yield from resnet(f"{block}resnets.{j}", width, width if j else before)
        if i + 1 < len(channels):
            yield from linear(block + "upsamplers.0.conv", width, width, 3, 3)
        before = width
    yield from norm("decoder.norm_out", channels[-1])
    yield from conv("decoder.conv_out", config["out_channels"], channels[-1])


def text_encoder_tensors(config):
    width, inner = config["d_model"], config["num_heads"] * config["d_kv"]
    yield "shared.weight", (config["vocab_size"], width)
    for i in range(config["num_layers"]):
        attention, ff = (f"encoder.block.{i}.layer.{layer}." for layer in range(2))
        for product in "qkv":
            yield f"{attention}SelfAttention.{product}.weight", (inner, width)
        yield attention + "SelfAttention.o.weight", (width, inner)
        if i == 0:
            buckets = config["relative_attention_num_buckets"]
            yield attention + "SelfAttention.relative_attention_bias.weight", (buckets, config["num_heads"])
        for product in ("wi_0", "wi_1"):
            yield f"{ff}DenseReluDense.{product}.weight", (config["d_ff"], width)
        yield ff + "DenseReluDense.wo.weight", (width, config["d_ff"])
        for layer in (attention, ff):
            yield layer + "layer_norm.weight", (width,)
    yield "encoder.final_layer_norm.weight", (width,)


def bytes_of(shape):
    return math.prod(shape) * BF16_BYTES


def random_bytes(name, shape, device):
    """Scaled by the inputs of a product; norms near 1."""
    import torch
    values = torch.randn(shape, dtype=torch.bfloat16, device=device)
    if len(shape) > 1:
        values *= math.prod(shape[1:]) ** -0.5
    else:
        values = values * 0.02 + (1 if name.endswith(".weight") else 0)
    return values.flatten().view(torch.uint8).cpu().numpy()


def write_file(path, tensors, random):
    offset, header = 0, {}
    for name, shape in tensors:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + bytes_of(shape)]}
        offset += bytes_of(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        if random:
            import torch
            device = "cuda" if torch.cuda.is_available() else "cpu"
            for name, shape in tensors:
                f.write(random_bytes(name, shape, device))
        else:
            f.truncate(8 + len(text) + offset)


def write_component(folder, stem, tensors, random):
    """One file, or shards and their index."""
    shards, room = [], 0
    for name, shape in tensors:
        if bytes_of(shape) > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append((name, shape))
        room -= bytes_of(shape)
    if len(shards) == 1:
        return write_file(os.path.join(folder, stem + ".safetensors"), shards[0], random)
    weight_map = {}
    for i, shard in enumerate(shards, 1):
        file = f"{stem}-{i:05}-of-{len(shards):05}.safetensors"
        weight_map.update((name, file) for name, _ in shard)
        write_file(os.path.join(folder, file), shard, random)
    with open(os.path.join(folder, stem + ".safetensors.index.json"), "w") as f:
        json.dump({"metadata": {}, "weight_map": weight_map}, f)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("2b", "5b"))
    parser.add_argument("folder")
    parser.add_argument("--golden", default=os.path.join(HERE, "..", "golden"))
    parser.add_argument("--weights", choices=("none", "zeros", "random"), default="none")
    parser.add_argument("--small-text", action="store_true")
    args = parser.parse_args()
    configs = sizes_of(args.name, args.golden, args.small_text)
    for path, content in configs.items():
        path = os.path.join(args.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            json.dump(content, f)
    shutil.copy(os.path.join(args.golden, "spiece.model"), os.path.join(args.folder, "tokenizer", "spiece.model"))
    if args.weights == "none":
        return
    for part, stem, tensors_of in (("transformer", "diffusion_pytorch_model", transformer_tensors),
                                   ("vae", "diffusion_pytorch_model", decoder_tensors),
                                   ("text_encoder", "model", text_encoder_tensors)):
        config = {"out_channels": 3 if part == "vae" else 16, **configs[part + "/config.json"]}
        write_component(os.path.join(args.folder, part), stem, tensors_of(config), args.weights == "random")


if __name__ == "__main__":
    main()
