#!/usr/bin/env python3
"""The service on a machine with a GPU and torch but without gRPC: start-up, a whole job, and ranks that fail in mid-step.

    tests/gpu/service_test.py BUNDLE [--device cuda] [--model FOLDER] [--parts start,job,faults,memory] [--logs FOLDER]

BUNDLE is tests/gpu/bundle's folder. Without --model a 5b checkpoint of random weights is made where there is room. Needs the
standard library, and torch for its libraries. Prints a JSON line for each figure; ends with 1 if one misses its limit.
"""

import argparse
import contextlib
import ctypes
import datetime
import glob
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1
PROMPT = "a red circle moving to the right"
MESH_OFF = {"NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1", "NVSHMEM_DISABLE_NVLS": "1"}
# Seconds.
START_LIMIT, JOB_LIMIT, KILLED_LIMIT, STOPPED_LIMIT = 10, 62, 30, 60
MEMORY_LIMIT_MIB = 100
# Of a part, so that the others still run when it hangs.
PART_LIMIT = {"start": 150, "job": 170, "faults": 240, "memory": 240}
WEIGHT_BYTES = 25 << 30
# Jobs that do not fit, and as many that do, on a GPU that has so much left.
MEMORY_JOBS, LEFT_MIB = 20, 4096
# Takes all but argv[1] bytes of the GPU's free memory until its input ends.
HOG = """
import sys, torch
held = []
for piece in (1 << 30, 1 << 26):
    while torch.cuda.mem_get_info()[0] > piece + int(sys.argv[1]):
        held.append(torch.empty(piece, dtype=torch.uint8, device="cuda"))
print("full", flush=True)
sys.stdin.read()
"""


def torch_libraries():
    spec = importlib.util.find_spec("torch")
    if spec is None:
        return []
    torch = os.path.join(os.path.dirname(spec.origin), "lib")
    return [torch, *sorted(glob.glob(os.path.join(torch, "../../nvidia/*/lib")))]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition, limit_s, what):
    """Seconds until the condition's first true value, and the value."""
    begin = time.monotonic()
    while time.monotonic() < begin + limit_s:
        value = condition()
        if value:
            return time.monotonic() - begin, value
        time.sleep(0.05)
    raise TimeoutError(f"not within {limit_s} s: {what}")


def read_line(stream, limit_s):
    """The next line of an unbuffered binary stream; empty at its end."""
    until, text = time.monotonic() + limit_s, b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0, until - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no line within {limit_s} s")
        piece = os.read(stream.fileno(), 1)
        if not piece:
            break
        text += piece
    return text.decode()


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


class Setting:
    """What all parts share: programs, environment, the model and where logs go."""

    def __init__(self, args, folder):
        self.args, self.folder, self.failed = args, folder, False
        with tarfile.open(os.path.join(args.bundle, "programs.tar.xz")) as bundled:
            bundled.extractall(os.path.join(folder, "programs"), filter="data")
        libraries = args.libraries.split(":") if args.libraries else torch_libraries()
        # Nothing else of the caller's environment reaches the programs.
        self.env = {"PATH": os.environ["PATH"], "TMPDIR": folder, **MESH_OFF,
                    "LD_LIBRARY_PATH": ":".join([os.path.join(folder, "programs"), *libraries])}
        self.logs = args.logs or folder
        self.gpu = args.device == "cuda"

    def figure(self, part, ok=True, **fields):
        self.failed |= not ok
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in fields.items()}
        print(json.dumps({"part": part, "ok": ok, **rounded}), flush=True)

    def program(self, name):
        return os.path.join(self.folder, "programs", name)

    def start(self, argv, log):
        with open(os.path.join(self.logs, log), "ab") as stderr:
            return subprocess.Popen(argv, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                    bufsize=0, preexec_fn=die_with_parent)

    def used_mib(self):
        if not self.gpu:
            return 0
        answer = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0"],
                                capture_output=True, text=True, check=True).stdout
        return int(answer)


class Service:
    """A frontend and a worker of one rank."""

    def __init__(self, setting, name, *worker_flags):
        self.setting, self.log = setting, f"{name}-worker.log"
        self.server = setting.start(
            [setting.program("cogwheel-server"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
             "--data-dir", os.path.join(setting.folder, f"{name}-data")], f"{name}-server.log")
        self.address = json.loads(read_line(self.server.stdout, 20))["listen"]
        begin = time.monotonic()
        self.worker = setting.start(
            [setting.program("cogwheel-worker"), "--frontend", self.address, "--model", setting.args.model,
             "--model-name", "m", "--device", setting.args.device, *worker_flags], self.log)
        read_line(self.worker.stdout, 120)
        self.start_seconds = time.monotonic() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.worker, self.server):
            process.terminate()
        for process in (self.worker, self.server):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, *arguments, limit_s=300):
        result = subprocess.run([self.setting.program("cogwheel"), *arguments, "--server", self.address],
                                env=self.setting.env, capture_output=True, text=True, timeout=limit_s)
        if result.returncode:
            raise RuntimeError(f"{arguments[0]}: {result.stderr[-500:]}")
        return result.stdout

    def group(self):
        return json.loads(self.call("groups", "--json"))["groups"][0]

    def ready_after(self, epoch):
        group = self.group()
        return group if group["ready"] and int(group["epoch"]) > epoch else None

    def job(self, name):
        return json.loads(self.call("get", name, "--json"))

    def submit(self, steps, *flags):
        return self.call("submit", "--prompt", PROMPT, "--seed", "7", "--steps", str(steps), *flags).strip()

    def events(self, name):
        """The job's events as they come, to its end."""
        watch = self.setting.start([self.setting.program("cogwheel"), "watch", name, "--server", self.address, "--json"],
                                   "watch.log")
        try:
            while line := read_line(watch.stdout, 120):
                yield json.loads(line)
        finally:
            watch.kill()
            watch.wait()

    def wait_denoising(self, name, step):
        for event in self.events(name):
            progress = event.get("progress", {})
            if progress.get("stage") == "STAGE_DENOISE" and progress["step"] >= step:
                return
        raise RuntimeError(f"{name} ended before step {step}")

    def wait_end(self, name):
        for _ in self.events(name):
            pass
        return self.job(name)

    def log_lines(self, message):
        with open(os.path.join(self.setting.logs, self.log)) as f:
            lines = [json.loads(line) for line in f if line.startswith("{")]
        return [line for line in lines if line["message"] == message]


def stage_seconds(job):
    return {stage: float(took.rstrip("s")) for stage, took in job["stage_times"].items()}


def step_times(events):
    """Milliseconds between the denoising steps as the client hears of them."""
    ends = [datetime.datetime.fromisoformat(event["time"][:26].rstrip("Z") + "+00:00") for event in events
            if event.get("progress", {}).get("stage") == "STAGE_DENOISE"]
    return [round((end - begin).total_seconds() * 1e3) for begin, end in zip(ends, ends[1:])]


def measure_start(setting):
    """From the worker's exec to a formed group; the first of a machine also reads the libraries from its disk."""
    flags = {"from files, first": (), "from files": (), "from files again": ()}
    if setting.gpu:
        flags["random weights"] = ("--random-weights", "true", "--dtype", "bf16")
    for kind, more in flags.items():
        with Service(setting, "start-" + kind.replace(" ", "-").replace(",", ""), *more) as service:
            loads = {line["component"]: {key: float(line[key]) for key in ("seconds", "gigabytes", "gigabytes_per_second")}
                     for line in service.log_lines("weights loaded")}
            counts = kind in ("from files", "from files again")
            setting.figure("start", not counts or service.start_seconds <= START_LIMIT, weights=kind,
                           seconds=service.start_seconds, limit=START_LIMIT, loads=loads, used_mib=setting.used_mib())


def measure_job(setting):
    """From the client's exec to the finished file, on a group that has run one short job."""
    with Service(setting, "job") as service:
        for steps, limit in ((2, None), (setting.args.steps, JOB_LIMIT)):
            output = os.path.join(setting.folder, "video.mp4")
            begin = time.monotonic()
            lines = service.call("generate", "--prompt", PROMPT, "--seed", "7", "--steps", str(steps), "-o", output, "--json")
            seconds = time.monotonic() - begin
            job = max((json.loads(line) for line in service.call("list", "--json").splitlines()),
                      key=lambda job: job["create_time"])
            setting.figure("job", limit is None or seconds <= limit, steps=steps, seconds=seconds, limit=limit,
                           file_bytes=os.path.getsize(output), stages=stage_seconds(job), sha256=job["sha256"],
                           step_ms=step_times(json.loads(line) for line in lines.splitlines()), used_mib=setting.used_mib())


def run_fault(setting, service, kind, undisturbed, limit, strike):
    """Strikes a job in its denoising and follows group and job until both are well."""
    epoch = int(service.group()["epoch"])
    name = service.submit(setting.args.fault_steps)
    strike(name)
    lost, _ = wait_until(lambda: not service.group()["ready"] or service.ready_after(epoch), limit, "the loss is noticed")
    back, group = wait_until(lambda: service.ready_after(epoch), limit, "the group is ready again")
    job = service.wait_end(name)
    same = job.get("sha256") == undisturbed["sha256"]
    setting.figure("fault", same and lost + back <= limit and job["state"] == "SUCCEEDED", kind=kind,
                   noticed_seconds=lost, ready_seconds=lost + back, limit=limit, state=job["state"], same_bits=same,
                   attempt=job["attempt"], epochs=int(group["epoch"]) - epoch, error=job.get("error"))


def signal_rank(service, number):
    def strike(name):
        service.wait_denoising(name, 2)
        time.sleep(0.3)  # into the step
        [rank] = children_of(service.worker.pid)
        os.kill(rank, number)
    return strike


def measure_faults(setting):
    with Service(setting, "faults") as service:
        undisturbed = service.wait_end(service.submit(setting.args.fault_steps))
        setting.figure("fault", kind="none", stages=stage_seconds(undisturbed), sha256=undisturbed["sha256"])
        run_fault(setting, service, "kill -9", undisturbed, KILLED_LIMIT, signal_rank(service, signal.SIGKILL))
        run_fault(setting, service, "stop", undisturbed, STOPPED_LIMIT, signal_rank(service, signal.SIGSTOP))


def measure_memory(setting):
    """Another process holds the GPU's memory: jobs of the model's own size fail alone, small ones between them run."""
    with Service(setting, "memory", "--random-weights", "true", "--dtype", "bf16") as service:
        hog = setting.start([sys.executable, "-c", HOG, str(LEFT_MIB << 20)], "hog.log")
        if read_line(hog.stdout, 60).strip() != "full":
            raise RuntimeError("cannot fill the GPU's memory")
        epoch, ends, words = int(service.group()["epoch"]), [], ""
        for _ in range(MEMORY_JOBS):
            large = service.wait_end(service.submit(1))
            small = service.wait_end(service.submit(1, "--frames", "9", "--height", "240", "--width", "368"))
            words = large.get("error", {}).get("message", "")
            ends.append((large["state"], large.get("error", {}).get("reason"), small["state"]))
        epochs = int(service.group()["epoch"]) - epoch
        hog.stdin.close()
        hog.wait(30)
        alone = ends.count(("FAILED", "OUT_OF_MEMORY", "SUCCEEDED"))
        setting.figure("memory jobs", alone == MEMORY_JOBS and epochs == 0, pairs=MEMORY_JOBS, failed_alone=alone,
                       epochs=epochs, words=words, others=[end for end in ends if end[1] != "OUT_OF_MEMORY"][:3])


PARTS = {"start": measure_start, "job": measure_job, "faults": measure_faults, "memory": measure_memory}


def on_alarm(*_):
    raise TimeoutError("the part has taken too long")


def run_part(setting, name):
    before, begin = setting.used_mib(), time.monotonic()
    signal.alarm(PART_LIMIT[name])
    try:
        PARTS[name](setting)
    except Exception as error:  # the other parts still have something to say
        setting.figure(name, ok=False, error=f"{type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
    took = time.monotonic() - begin
    left = setting.used_mib() - before
    setting.figure("memory", left <= MEMORY_LIMIT_MIB, after=name, left_mib=left, limit=MEMORY_LIMIT_MIB, part_seconds=took)


def make_model(setting):
    """A 5b checkpoint in memory where that has room, else on the disk."""
    shared = "/dev/shm"
    place = shared if shutil.disk_usage(shared).free > WEIGHT_BYTES else None
    folder = tempfile.mkdtemp(prefix="cogwheel-5b-", dir=place)
    begin = time.monotonic()
    subprocess.run([sys.executable, os.path.join(HERE, "..", "bench", "make_checkpoint.py"), "5b", folder,
                    "--weights", "random"], check=True)
    setting.figure("checkpoint", seconds=time.monotonic() - begin, in_memory=place is not None)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--model", help="a checkpoint folder")
    parser.add_argument("--parts", default="start,job,faults,memory")
    parser.add_argument("--steps", type=int, default=50, help="of the measured job")
    parser.add_argument("--fault-steps", type=int, default=8)
    parser.add_argument("--libraries", help="LibTorch's and CUDA's folders, A:B; default: of python3's torch")
    parser.add_argument("--logs", help="folder for the programs' logs")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    with contextlib.ExitStack() as cleanup:
        folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="cogwheel-gpu-"))
        setting = Setting(args, folder)
        if args.model is None:
            args.model = make_model(setting)
            cleanup.callback(shutil.rmtree, args.model)
        for name in args.parts.split(","):
            run_part(setting, name)
    sys.exit(1 if setting.failed else 0)


if __name__ == "__main__":
    main()
