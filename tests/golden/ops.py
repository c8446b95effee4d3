"""Recorded results for unit tests: schedulers, guidance, tables, embeddings and random streams.

Writes ops.json (numbers and descriptions) and ops.safetensors (the tensors that it names).
"""

import types

import diffusers
import torch
from diffusers.models.embeddings import Timesteps, get_3d_sincos_pos_embed
from diffusers.schedulers import scheduling_dpm_cogvideox
from transformers.models.t5.modeling_t5 import T5Attention

import checkpoint_list
import reference

STEP_COUNTS = (50, 7, 28, 61)
CHAIN_SHAPE = (1, 3, 4, 2, 2)
SEEDS = (0, 42, 2**32 + 5, 2**64 - 1)


def make_scheduler(kind, snr_shift_scale, steps):
    scheduler = reference.SCHEDULERS[kind].from_config(checkpoint_list.scheduler(snr_shift_scale))
    scheduler.set_timesteps(steps)
    return scheduler


def step(scheduler, kind, i, sample, v, old, generator=None):
    """One scheduler step as the pipelines call it: (next sample, predicted clean sample)."""
    times = scheduler.timesteps
    if kind == "ddim":
        result = scheduler.step(v, times[i], sample, return_dict=True)
        return result.prev_sample, result.pred_original_sample
    back = times[i - 1] if i > 0 else None
    return scheduler.step(v, old, times[i], back, sample, generator=generator, return_dict=False)


def coefficients(kind, snr_shift_scale, steps):
    """What a step does to each input, found by giving it ones and zeros in fp64.

    next = x·sample + v·prediction + old·previous_clean + noise·(last draw);
    clean = clean_x·sample + clean_v·prediction.
    """
    scheduler = make_scheduler(kind, snr_shift_scale, steps)
    draws, value = [], torch.zeros(1, dtype=torch.float64)
    original = scheduling_dpm_cogvideox.randn_tensor
    scheduling_dpm_cogvideox.randn_tensor = lambda *a, **k: draws.append(1) or value
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    rows = []
    for i in range(steps):
        old = lambda number: None if i == 0 else number
        draws.clear()
        next_x, clean_x = step(scheduler, kind, i, one, zero, old(zero))
        count = len(draws)
        next_v, clean_v = step(scheduler, kind, i, zero, one, old(zero))
        next_old, _ = step(scheduler, kind, i, zero, zero, old(one))
        value = one
        next_noise, _ = step(scheduler, kind, i, zero, zero, old(zero))
        value = zero
        t = scheduler.timesteps[i].item()
        rows.append([t, t - 1000 // steps, count] + [
            number.item() for number in (next_x, next_v, next_old, next_noise, clean_x, clean_v)])
    scheduling_dpm_cogvideox.randn_tensor = original
    return {
        "kind": kind, "snr_shift_scale": snr_shift_scale, "steps": steps,
        "timesteps": scheduler.timesteps.tolist(),
        "columns": ["t", "prev", "draws", "x", "v", "old", "noise", "clean_x", "clean_v"],
        "rows": rows,
    }


def chain(kind, steps):
    """fp32 samples before and after each of `steps` steps; prediction i is a uniform tensor."""
    scheduler = make_scheduler(kind, 1.0, steps)
    generator = torch.Generator().manual_seed(77)
    sample = torch.randn(CHAIN_SHAPE, generator=generator)
    samples, old = [sample], None
    for i in range(steps):
        v = reference.uniform(CHAIN_SHAPE, 0.0, 1.0, 9000 + i)
        sample, clean = step(scheduler, kind, i, sample, v, old, generator)
        old = clean if kind == "dpm" else None
        samples.append(sample)
    return torch.stack(samples)


def dynamic_guidance(steps, scale):
    """The scales that the pipeline uses, read from it at the end of each step."""
    pipe = reference.load(reference.read_checkpoint("t2v-rope"), "ddim")
    seen = []

    def record(pipeline, i, t, values):
        seen.append([t.item(), pipeline.guidance_scale])
        return {}

    pipe(prompt="a", height=16, width=16, num_frames=1, num_inference_steps=steps,
         guidance_scale=scale, use_dynamic_cfg=True, max_sequence_length=2, output_type="latent",
         generator=torch.Generator().manual_seed(0), callback_on_step_end=record)
    return {"steps": steps, "guidance_scale": scale, "t_and_scale": seen}


def rotary(label, sample, patch_size_t, height, width, frames, tensors):
    """A RoPE table as the pipeline makes it; some rows of it go to `tensors`."""
    config = types.SimpleNamespace(
        patch_size=2, patch_size_t=patch_size_t, sample_height=sample[0], sample_width=sample[1],
        attention_head_dim=64)
    pipe = types.SimpleNamespace(
        vae_scale_factor_spatial=8, transformer=types.SimpleNamespace(config=config))
    cos, sin = diffusers.CogVideoXPipeline._prepare_rotary_positional_embeddings(
        pipe, height, width, frames, torch.device("cpu"))
    rows = sample_rows(cos.shape[0], 12)
    tensors[f"rope/{label}/cos"], tensors[f"rope/{label}/sin"] = cos[rows], sin[rows]
    return {"label": label, "sample_height": sample[0], "sample_width": sample[1],
            "patch_size_t": patch_size_t, "height": height, "width": width,
            "latent_frames": frames, "token_count": cos.shape[0], "rows": rows}


def sample_rows(count, wanted):
    """The first, the last and about `wanted` rows between them at an odd distance."""
    stride = max(1, count // wanted) | 1
    return sorted(set(range(0, count, stride)) | {1, count - 1})


ROTARY_TABLES = (
    ("base", (60, 90), None, 480, 720, 13),
    ("tall", (60, 90), None, 720, 480, 3),
    ("wide", (60, 90), None, 256, 768, 3),
    ("square", (60, 90), None, 512, 512, 2),
    ("half_left", (8, 12), None, 64, 80, 3),
    ("half_top", (8, 12), None, 32, 128, 2),
    ("small_base", (8, 12), None, 64, 96, 3),
    ("version15", (300, 300), 2, 768, 1360, 22),
    ("version15_small", (14, 16), 2, 48, 80, 6),
)


def sincos(label, width, grid, frames, tensors):
    """A sin-cos table for `grid` = (rows, columns) of patches, rounded to fp32."""
    table = get_3d_sincos_pos_embed(width, (grid[1], grid[0]), frames, 1.875, 1.0)
    table = table.flatten(0, 1).float()
    rows = sample_rows(table.shape[0], 4)
    tensors[f"sincos/{label}"] = table[rows]
    return {"label": label, "width": width, "patch_rows": grid[0], "patch_columns": grid[1],
            "latent_frames": frames, "rows": rows}


def time_embedding(width, times, tensors):
    embed = Timesteps(width, True, 0)
    tensors[f"time/{width}"] = embed(torch.tensor(times))
    return {"width": width, "times": times}


def random_streams(tensors):
    """Draws of 5, 40, 16 and 35 numbers in turn from one generator per seed and dtype."""
    for seed in SEEDS:
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            generator = torch.Generator().manual_seed(seed)
            draws = [torch.randn(n, generator=generator, dtype=dtype) for n in (5, 40, 16, 35)]
            tensors[f"randn/{name}/{seed}"] = torch.cat(draws)
        generator = torch.Generator().manual_seed(seed)
        tensors[f"uniform/{seed}"] = torch.rand(20, generator=generator)
    return {"draws": [5, 40, 16, 35], "seeds": [str(seed) for seed in SEEDS]}


def weights():
    """A weight tensor made by the recipe of the checkpoints, to check the twin of uniform()."""
    law = ([3, 5], 1.0, 0.2, 200_052)
    values = [[float(f"{value:.9g}") for value in row]
              for row in reference.uniform(*law).double().tolist()]
    return {"shape": law[0], "mean": law[1], "std": law[2], "seed": law[3], "values": values}


def make():
    """The numbers and the tensors of this module."""
    tensors = {}
    distances = torch.arange(-300, 301)
    numbers = {
        "schedulers": [coefficients(kind, snr, steps) for kind in ("ddim", "dpm")
                       for snr in (1.0, 3.0) for steps in STEP_COUNTS],
        "alphas": [{"snr_shift_scale": snr, "alphas_cumprod": {
            str(t): make_scheduler("ddim", snr, 50).alphas_cumprod[t].item()
            for t in (0, 1, 19, 250, 500, 750, 998, 999)}} for snr in (1.0, 3.0)],
        "dynamic_guidance": [dynamic_guidance(steps, scale)
                             for steps, scale in ((50, 6.0), (7, 6.0), (28, 3.5))],
        "t5_buckets": {"first_distance": -300, "buckets":
                       T5Attention._relative_position_bucket(distances).tolist()},
        "rope": [rotary(*table, tensors) for table in ROTARY_TABLES],
        "sincos": [sincos("2b", 1920, (30, 45), 13, tensors),
                   sincos("2b_tall", 1920, (45, 30), 3, tensors),
                   sincos("small", 192, (4, 6), 3, tensors),
                   sincos("small_tall", 192, (5, 3), 5, tensors)],
        "time": [time_embedding(192, [999, 856, 499, 19, 0], tensors),
                 time_embedding(1920, [999, 19], tensors),
                 time_embedding(512, [2], tensors)],
        "random": random_streams(tensors),
        "weights": weights(),
        "chains": {"shape": CHAIN_SHAPE, "generator_seed": 77, "prediction_seed": 9000,
                   "steps": STEP_COUNTS[1:]},
    }
    for kind in ("ddim", "dpm"):
        for steps in STEP_COUNTS[1:]:
            tensors[f"chain/{kind}/{steps}"] = chain(kind, steps)
    return numbers, tensors
