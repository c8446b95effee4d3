"""Last step: scheduler/, model_index.json and cogwheel.json, beside the trained networks.

    python export.py MODEL_FOLDER
"""
import json
import pathlib
import sys

import diffusers
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLCogVideoX

import grammar
import networks
import render

_CLIPS, _BATCH = 96, 8


@torch.no_grad()
def fit_preview(vae):
    """Least squares from a latent to its 8 x 8 pixels' mean, over trained clips.

    Latent frame 0 stands for frame 0, latent frame k for frames 4k-3 ... 4k.
    """
    device = next(vae.parameters()).device
    table = render.combination_table(grammar.TRAINED, device)
    latents, pixels = [], []
    for _ in range(_CLIPS // _BATCH):
        which = torch.randint(0, len(table), (_BATCH,), device=device)
        clip, _ = render.draw(render.random_scenes(table[which]))
        latent = vae.encode(clip).latent_dist.mode() * vae.config.scaling_factor
        small = F.avg_pool3d((clip + 1) / 2, (1, 8, 8))
        rest = F.avg_pool3d(small[:, :, 1:], (4, 1, 1))
        small = torch.cat([small[:, :, :1], rest], 2)
        latents.append(latent.permute(0, 2, 3, 4, 1).reshape(-1, latent.shape[1]))
        pixels.append(small.permute(0, 2, 3, 4, 1).reshape(-1, 3))
    latents, pixels = torch.cat(latents).double(), torch.cat(pixels).double()
    ones = torch.ones(len(latents), 1, dtype=latents.dtype, device=device)
    solution = torch.linalg.lstsq(torch.cat([latents, ones], 1), pixels).solution
    error = (torch.cat([latents, ones], 1) @ solution - pixels).square().mean().sqrt()
    print(f"preview: rms error {error:.4f} of [0, 1]")
    return {"matrix": [[round(v, 5) for v in row] for row in solution[:-1].T.tolist()],
            "bias": [round(v, 5) for v in solution[-1].tolist()]}


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vae = AutoencoderKLCogVideoX.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    networks.scheduler().save_pretrained(folder / "scheduler")
    index = {"_class_name": "CogVideoXPipeline", "_diffusers_version": diffusers.__version__,
             "scheduler": ["diffusers", "CogVideoXDPMScheduler"],
             "text_encoder": ["transformers", "T5EncoderModel"],
             "tokenizer": ["transformers", "T5Tokenizer"],
             "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
             "vae": ["diffusers", "AutoencoderKLCogVideoX"]}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    settings = {"name": "shapes", "description": grammar.DESCRIPTION,
                "sample_prompts": grammar.SAMPLE_PROMPTS, "vocabulary": grammar.VOCABULARY,
                "defaults": {"steps": 10, "guidance_scale": 3.0, "scheduler": "dpm",
                             "fps": grammar.FPS, "frames": grammar.FRAMES,
                             "height": grammar.HEIGHT, "width": grammar.WIDTH},
                "limits": {"max_frames": grammar.FRAMES, "max_steps": 200},
                "preview": fit_preview(vae.to(device).eval())}
    (folder / "cogwheel.json").write_text(json.dumps(settings, indent=1) + "\n")


if __name__ == "__main__":
    main()
