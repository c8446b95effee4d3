"""The reference (diffusers and transformers) on CPU: checkpoints, one request, fp32 and fp64."""

import contextlib
import hashlib
import json
import logging
import math
import os
import pathlib
import shutil
import tempfile

import diffusers
import numpy as np
import torch
import transformers
from diffusers.models.autoencoders import vae as vae_module
from diffusers.pipelines.cogvideo import pipeline_cogvideox, pipeline_cogvideox_image2video
from diffusers.schedulers import scheduling_dpm_cogvideox
from PIL import Image
from safetensors.torch import save_file
from transformers.models.t5 import modeling_t5

import checkpoint_list

HERE = pathlib.Path(__file__).parent
SCHEDULERS = {"ddim": diffusers.CogVideoXDDIMScheduler, "dpm": diffusers.CogVideoXDPMScheduler}
WEIGHT_FILES = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}

torch.set_num_threads(1)
torch.set_grad_enabled(False)
diffusers.utils.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
logging.disable(logging.WARNING)


def uniform(shape, mean, std, seed):
    """The values of one weight tensor; the C++ twin does the same three operations."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float32)
    return values.sub_(0.5).mul_(std * math.sqrt(12.0)).add_(mean)


def bare_models(configs):
    """Instances of the three networks, for their tensor names and shapes only."""
    without_class = lambda config: {k: v for k, v in config.items() if k[0] != "_"}
    text = transformers.T5Config(**configs["text_encoder/config.json"])
    return {
        "transformer": diffusers.CogVideoXTransformer3DModel(
            **without_class(configs["transformer/config.json"])),
        "vae": diffusers.AutoencoderKLCogVideoX(**without_class(configs["vae/config.json"])),
        "text_encoder": transformers.T5EncoderModel(text),
    }


def describe(name, first_seed):
    """The content of checkpoints/NAME.json."""
    configs = checkpoint_list.CHECKPOINTS[name]
    tensors, seed = {}, first_seed
    for part, model in bare_models(configs).items():
        lines = []
        for key, value in sorted(model.state_dict().items()):
            if key == "encoder.embed_tokens.weight":  # the same storage as shared.weight
                continue
            mean, std = checkpoint_list.LAWS[part](key, value.shape, configs)
            lines.append([key, list(value.shape), mean, float(f"{std:.6g}"), seed])
            seed += 1
        tensors[part] = lines
    return {"name": name, "configs": configs, "tensors": tensors}


def read_checkpoint(name):
    return json.loads((HERE / "checkpoints" / f"{name}.json").read_text())


def materialise(checkpoint):
    """Writes the checkpoint as a diffusers folder below the system's temporary folder; its path."""
    text = json.dumps(checkpoint, sort_keys=True).encode()
    digest = hashlib.sha256(text + (HERE / "spiece.model").read_bytes()).hexdigest()[:16]
    folder = pathlib.Path(tempfile.gettempdir()) / f"cogwheel-golden-{os.getuid()}" / digest
    if (folder / "complete").exists():
        return folder
    for name, content in checkpoint["configs"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    shutil.copy(HERE / "spiece.model", folder / "tokenizer" / "spiece.model")
    for part, lines in checkpoint["tensors"].items():
        weights = {line[0]: uniform(*line[1:]) for line in lines}
        save_file(weights, folder / part / WEIGHT_FILES[part], metadata={"format": "pt"})
    (folder / "complete").touch()
    return folder


def load(checkpoint, scheduler):
    """The pipeline of a checkpoint, read by the reference's own loader, always trailing."""
    kind = getattr(diffusers, checkpoint["configs"]["model_index.json"]["_class_name"])
    pipe = kind.from_pretrained(materialise(checkpoint), dtype=torch.float32)
    pipe.scheduler = SCHEDULERS[scheduler].from_config(
        pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def fit_table(pipe, text_tokens):
    """Lets the fixed sin-cos table take fewer text tokens than the config says.

    The reference adds a table of max_text_seq_length zero rows and refuses other text lengths. The
    rows are zeros, so a model whose config says text_tokens is the same model.
    """
    embed = pipe.transformer.patch_embed
    if embed.use_positional_embeddings and embed.max_text_seq_length != text_tokens:
        embed.max_text_seq_length = text_tokens
        embed.pos_embedding = embed._get_positional_embeddings(
            embed.sample_height, embed.sample_width, embed.sample_frames).to(pipe.transformer.dtype)


NOISE_USERS = (vae_module, pipeline_cogvideox, pipeline_cogvideox_image2video,
               scheduling_dpm_cogvideox)


@contextlib.contextmanager
def double_precision():
    """Runs the reference in fp64 with the fp32 noise; its own casts to fp32 become fp64 too."""
    draw = pipeline_cogvideox.randn_tensor
    norm_forward = modeling_t5.T5LayerNorm.forward
    to_float = torch.Tensor.float

    def fp32_draw(shape, generator=None, device=None, dtype=None, layout=None):
        return draw(shape, generator=generator, device=device, dtype=torch.float32).to(dtype)

    def norm(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)
                                              + self.variance_epsilon))

    try:
        for module in NOISE_USERS:
            module.randn_tensor = fp32_draw
        modeling_t5.T5LayerNorm.forward = norm
        torch.Tensor.float = torch.Tensor.double
        yield
    finally:
        for module in NOISE_USERS:
            module.randn_tensor = draw
        modeling_t5.T5LayerNorm.forward = norm_forward
        torch.Tensor.float = to_float


def without_padding(latents, kept):
    """Drops 1.5's leading padding frames, which the reference keeps in output_type "latent"."""
    return latents[:, latents.shape[1] - kept:]


def run(pipe, request):
    """One request: final latents [F,C,h,w], frames [F,H,W,3] uint8, rms of the predictions."""
    fit_table(pipe, request["max_sequence_length"])
    tile(pipe, request["vae_tiling"])  # of the image's encoding, too
    squares = []
    hook = pipe.transformer.register_forward_hook(
        lambda module, inputs, output: squares.append(output[0].double().pow(2).mean().item()))
    more = {}
    if "image" in request:
        more["image"] = Image.open(HERE / request["image"]).convert("RGB")
    latents = pipe(
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        height=request["height"],
        width=request["width"],
        num_frames=request["frames"],
        num_inference_steps=request["steps"],
        guidance_scale=request["guidance_scale"],
        use_dynamic_cfg=request["dynamic_cfg"],
        generator=torch.Generator().manual_seed(request["seed"]),
        max_sequence_length=request["max_sequence_length"],
        output_type="latent",
        **more,
    ).frames
    hook.remove()
    latents = without_padding(latents, (request["frames"] - 1) // 4 + 1)
    frames = decode(pipe, latents)
    return latents[0], frames, math.sqrt(sum(squares) / len(squares))


def tile(pipe, tiling):
    if tiling:
        pipe.vae.enable_tiling()
    else:
        pipe.vae.disable_tiling()


def decode(pipe, latents):
    """Latents [1,F,C,h,w] to frames [F,H,W,3] uint8, as the pipeline does for PIL output."""
    video = pipe.decode_latents(latents)
    pictures = pipe.video_processor.postprocess_video(video=video, output_type="pil")[0]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))


def run_double(checkpoint, request):
    """The same request in fp64 with the same noise."""
    pipe = load(checkpoint, request["scheduler"])
    for part in (pipe.transformer, pipe.vae, pipe.text_encoder):
        part.double()
    with double_precision():
        return run(pipe, request)
