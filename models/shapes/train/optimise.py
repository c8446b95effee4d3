"""Training plumbing: one process per GPU, all parameters of a stage in one flat buffer.

One buffer means one all-reduce, one clip, one fused AdamW and one moving average per step.
"""
import math
import os
import time

import torch
import torch.distributed as dist

_ALIGNMENT = 64  # elements


class Run:
    """This process's place among the others, its device and its log."""

    def __init__(self, seed):
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        cuda = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device(f"cuda:{local}" if cuda else "cpu")
        if cuda:
            torch.cuda.set_device(self.device)
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        if self.size > 1:
            dist.init_process_group("nccl" if cuda else "gloo")
        torch.manual_seed(seed + self.rank)
        self.begin = time.time()

    def log(self, *words):
        if self.rank == 0:
            print(f"[{time.time() - self.begin:6.1f}s]", *words, flush=True)

    def autocast(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16,
                              enabled=self.device.type == "cuda")

    def agreed(self, value):
        """Rank 0's number, on every rank."""
        if self.size == 1:
            return value
        shared = torch.tensor([float(value)], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.item()

    def close(self):
        if self.size > 1:
            dist.destroy_process_group()


class FlatParameters:
    """The trainable parameters of some modules as one buffer, with AdamW and an average."""

    def __init__(self, run, modules, weight_decay, average, betas=(0.9, 0.99)):
        self._run, self._average, self._steps = run, average, 0
        parameters = list({id(p): p for m in modules for p in m.parameters()
                           if p.requires_grad}.values())
        parameters.sort(key=lambda p: p.ndim < 2)  # vectors last: they do not decay
        place, places, matrices = 0, [], 0
        for p in parameters:
            places.append(place)
            place += -(-p.numel() // _ALIGNMENT) * _ALIGNMENT
            matrices = place if p.ndim >= 2 else matrices
        self.values = torch.zeros(place, device=run.device)
        self.gradients = torch.zeros_like(self.values)
        with torch.no_grad():
            for p, start in zip(parameters, places):
                view = _view(self.values, start, p)
                view.copy_(p)
                p.data, p.grad = view, _view(self.gradients, start, p)
        if run.size > 1:
            dist.broadcast(self.values, 0)
        self.averages = self.values.clone()
        groups = []
        for start, end, decay in ((0, matrices, weight_decay), (matrices, place, 0.0)):
            part = torch.nn.Parameter(self.values[start:end])
            part.grad = self.gradients[start:end]
            groups.append({"params": [part], "weight_decay": decay})
        self._adamw = torch.optim.AdamW(groups, lr=1e-3, betas=betas,
                                        fused=run.device.type == "cuda")

    def step(self, learning_rate):
        if self._run.size > 1:
            dist.all_reduce(self.gradients)
        norm = self.gradients.norm() / self._run.size
        self.gradients.mul_((1 / self._run.size) / norm.clamp(min=1.0))
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self.gradients.zero_()
        self._steps += 1
        rate = min(self._average, self._steps / (self._steps + 9))
        self.averages.lerp_(self.values, 1 - rate)
        return norm

    def use_averages(self):
        self.values.copy_(self.averages)

    def swap_averages(self):
        """Puts the averages in place, or the trained values back."""
        kept = self.values.clone()
        self.values.copy_(self.averages)
        self.averages.copy_(kept)


def _view(buffer, start, p):
    """A view shaped as `p`; the weights of 3-D convolutions keep their channels innermost."""
    part = buffer[start:start + p.numel()]
    if p.ndim == 5:
        o, i, t, h, w = p.shape
        return part.view(o, t, h, w, i).permute(0, 4, 1, 2, 3)
    return part.view(p.shape)


class Clock:
    """How far a stage is, by time or by steps, and its learning rate (warm-up, then cosine)."""

    def __init__(self, run, seconds, steps, peak, warm_up):
        self._run, self._seconds, self._steps = run, seconds, steps
        self._peak, self._warm_up, self._begin = peak, warm_up, time.time()
        self.step, self.part = 0, 0.0

    def tick(self):
        """Counts a step; false once the stage is over."""
        self.step += 1
        if self._steps:
            self.part = self.step / self._steps
        elif self.step % 10 == 1:
            self.part = self._run.agreed((time.time() - self._begin) / self._seconds)
        return self.part <= 1

    def rate(self):
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.part)))
        return self._peak * min(1.0, self.step / self._warm_up) * (0.01 + 0.99 * cosine)

    def per_second(self):
        return self.step / (time.time() - self._begin)
