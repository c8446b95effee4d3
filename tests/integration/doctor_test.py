"""`cogwheel doctor` on broken set-ups: one line that names the fault and the way out; and on whole ones: nothing to say."""

import ctypes
import json
import os
import resource
import shutil
import struct
import subprocess
import unittest

from support import SHAPES, ProcessTest, die_with_parent, program

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
with open(program("cogwheel"), "rb") as opened:
    SANITISED = b"__asan_init" in opened.read()
NARROW_PORTS = "echo 50000 50002 > /proc/sys/net/ipv4/ip_local_port_range"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def read_header(path):
    """(header, the bytes behind it)"""
    with open(path, "rb") as f:
        length, = struct.unpack("<Q", f.read(8))
        return json.loads(f.read(length)), f.read()


def write_header(path, header, data):
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def edit_json(path, **changes):
    with open(path) as f:
        values = json.load(f)
    with open(path, "w") as f:
        json.dump({**values, **changes}, f)


def obey_permissions():
    """For root too: without these two it may read only what its owner may."""
    die_with_parent()
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def limited(kind, value):
    def prepare():
        die_with_parent()
        resource.setrlimit(kind, (value, value))
    return prepare


def in_namespaces(flags, script):
    """Words before a command that runs it in namespaces of its own, after the script."""
    return ("unshare", *flags, "sh", "-ec", script + '; exec "$@"', "sh")


def may(flags, script):
    return subprocess.run([*in_namespaces(flags, script), "true"], capture_output=True).returncode == 0


class DoctorTest(ProcessTest):
    def doctor(self, *arguments, prefix=(), prepare=die_with_parent, binary=None, **more):
        return subprocess.run([*prefix, binary or program("cogwheel"), "doctor", *arguments], env=self.environment(**more),
                              cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              preexec_fn=prepare)

    def lines(self, level, result):
        return [line for line in result.stdout.splitlines() if line.startswith(f"{level:8}")]

    def faulty(self, check, said, *arguments, **how):
        """One fault, in one line with all of `said`, the way out last; and the line on stderr names the check."""
        result = self.doctor(*arguments, **how)
        faults = self.lines("fault", result)
        self.assertEqual((2, 1), (result.returncode, len(faults)), result.stdout + result.stderr)
        self.assertTrue(faults[0].startswith(f"fault   {check}: "), faults)
        self.assertRegex(faults[0], "; [^;]{8}")
        for part in said:
            self.assertIn(part, faults[0])
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        self.assertRegex(result.stderr, f"^cogwheel: .*{check}")
        if os.environ.get("SHOW"):
            print(faults[0])
        return faults[0]

    def warned(self, check, said, *arguments, **how):
        result = self.doctor(*arguments, **how)
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        warnings = self.lines("warning", result)
        self.assertEqual(1, len(warnings), result.stdout)
        self.assertTrue(warnings[0].startswith(f"warning {check}: "), warnings)
        for part in said:
            self.assertIn(part, warnings[0])
        if os.environ.get("SHOW"):
            print(warnings[0])

    def checkpoint(self, name="model"):
        folder = self.path(name)
        shutil.copytree(SHAPES, folder, ignore=shutil.ignore_patterns("train", "*.png", "*.md"))
        return folder

    def broken(self, said, change, *arguments, name="model", check="checkpoint"):
        """A fault of a copy of the shipped model after this change."""
        folder = self.checkpoint(name)
        change(folder)
        self.faulty(check, said, "--model", folder, *arguments)
        shutil.rmtree(folder)


class WholeTest(DoctorTest):
    def test_a_whole_set_up(self):
        result = self.doctor("--json")
        self.assertEqual((0, ""), (result.returncode, result.stderr), result.stdout)
        report = json.loads(result.stdout)
        self.assertEqual(1, result.stdout.count("\n"))
        for fact in ("client", "worker", "system", "cpu", "memory", "gpus", "cgroups", "ulimits", "volumes", "environment",
                     "memory_by_mesh"):
            self.assertTrue(report["facts"][fact], fact)
        self.assertIn("torch", report["facts"]["worker"])
        self.assertIn(f"TMPDIR={self.temporary}", report["facts"]["environment"])
        checks = {finding["check"]: finding for finding in report["findings"]}
        self.assertLessEqual({"program", "checkpoint", "dtype", "memory", "libraries", "cpus", "processes", "open files", "ports",
                              "shared memory", "disk", "temporary folder"}, set(checks))
        for finding in report["findings"]:
            self.assertIn(finding["level"], ("ok", "warning"), finding)
        self.assertIn("shapes", checks["checkpoint"]["what"])
        self.assertEqual([], self.files_left())

    def test_people_read_versions_first(self):
        lines = self.doctor("--model", SHAPES, "--device", "cpu").stdout.splitlines()
        self.assertTrue(lines[0].startswith("client: cogwheel "), lines[0])
        first_check = next(i for i, line in enumerate(lines) if line.startswith("ok "))
        for line in lines[first_check:]:
            self.assertRegex(line, "^(ok|warning|fault) +[a-z ]+: ")

    def test_a_mesh_that_cannot_be(self):
        self.assertIn("ring 17", self.fails(2, "doctor", "--ring", "17"))


class CheckpointTest(DoctorTest):
    def test_missing_files(self):
        self.broken(("transformer", "diffusion_pytorch_model.safetensors", "hf download"),
                    lambda m: os.remove(f"{m}/{TRANSFORMER}"))
        self.broken(("model_index.json", "hf download"), lambda m: os.remove(f"{m}/model_index.json"))
        self.broken(("spiece.model", "hf download"), lambda m: shutil.rmtree(f"{m}/tokenizer"))
        self.broken(("vae/config.json", "hf download"), lambda m: os.remove(f"{m}/vae/config.json"))

    def test_a_missing_shard(self):
        first, second = (f"diffusion_pytorch_model-0000{k}-of-00002.safetensors" for k in (1, 2))

        def shard(model):
            header, _ = read_header(f"{model}/{TRANSFORMER}")
            names = [name for name in header if name != "__metadata__"]
            os.rename(f"{model}/{TRANSFORMER}", f"{model}/transformer/{first}")
            with open(f"{model}/{TRANSFORMER}.index.json", "w") as f:
                json.dump({"metadata": {}, "weight_map": {name: second if name == names[-1] else first for name in names}}, f)
        self.broken((second, "1 of 2 shards", "; bring the shards"), shard)

    def test_damaged_files(self):
        self.broken((TRANSFORMER, "hf download"), lambda m: os.truncate(f"{m}/{TRANSFORMER}", 4000))
        self.broken((TRANSFORMER, "hf download"),
                    lambda m: os.truncate(f"{m}/{TRANSFORMER}", os.path.getsize(f"{m}/{TRANSFORMER}") - 2))
        self.broken(("vae/diffusion_pytorch_model.safetensors", "is empty", "hf download"),
                    lambda m: os.truncate(f"{m}/vae/diffusion_pytorch_model.safetensors", 0))
        self.broken(("tokenizer/spiece.model", "hf download"), lambda m: os.truncate(f"{m}/tokenizer/spiece.model", 100))

    def test_a_pointer_in_place_of_the_file(self):
        def point(model):
            with open(f"{model}/{TRANSFORMER}", "w") as f:
                f.write(f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * 'a'}\nsize 12345\n")
        self.broken((TRANSFORMER, "Git LFS pointer", "git lfs pull"), point)

    def test_integers_for_weights(self):
        def retype(model):
            header, data = read_header(f"{model}/{TRANSFORMER}")
            header["proj_out.weight"]["dtype"] = "I16"  # of the same size as F16
            write_header(f"{model}/{TRANSFORMER}", header, data)
        self.broken((TRANSFORMER, "proj_out.weight", "dtype I16", "save it again in fp32"), retype)

    def test_files_of_another_kind(self):
        def rename(ending):
            return lambda m: os.rename(f"{m}/{TRANSFORMER}", f"{m}/transformer/diffusion_pytorch_model{ending}")
        self.broken(("diffusion_pytorch_model.fp16.safetensors", "; choose it with --variant fp16"), rename(".fp16.safetensors"))
        self.broken(("model.fp16.safetensors", "; choose it with --variant fp16"), rename(".fp16.safetensors"), "--variant", "bf16")
        self.broken(("diffusion_pytorch_model.bin", "pickle", "; load it in Python", "save_pretrained"), rename(".bin"))
        self.broken(("diffusion_pytorch_model.gguf", "GGUF", "quantised", "safetensors"), rename(".gguf"))

    def test_fp16_for_a_model_stored_in_bf16(self):
        def retype(model):
            header, data = read_header(f"{model}/{TRANSFORMER}")
            for name in header:
                if name != "__metadata__":
                    header[name]["dtype"] = "BF16"
            write_header(f"{model}/{TRANSFORMER}", header, data)
        self.broken(("fp16", "bf16"), retype, "--dtype", "fp16", check="dtype")

    def test_a_model_of_another_kind(self):
        self.broken(("model_index.json", "_class_name", "FluxPipeline", "CogVideoXPipeline"),
                    lambda m: edit_json(f"{m}/model_index.json", _class_name="FluxPipeline"))
        self.broken(("transformer/config.json", "attention_head_dim", "20"),
                    lambda m: edit_json(f"{m}/transformer/config.json", attention_head_dim=20))

    def test_files_that_cannot_be_opened(self):
        folder = self.checkpoint()
        os.chmod(f"{folder}/{TRANSFORMER}", 0)
        self.faulty("checkpoint", (TRANSFORMER, "Permission denied", "chmod"), "--model", folder, prepare=obey_permissions)
        os.chmod(folder, 0)
        try:
            self.faulty("checkpoint", (folder, "Permission denied", "chmod a+rx"), "--model", f"{folder}/inside", prepare=obey_permissions)
            self.faulty("checkpoint", (folder, "Permission denied", "chmod"), "--model", folder, prepare=obey_permissions)
        finally:
            os.chmod(folder, 0o700)

    def test_an_unfinished_download(self):
        folder = self.checkpoint("models--org--name/snapshots/" + 40 * "a")
        blobs = self.path("models--org--name/blobs")
        os.mkdir(blobs)
        os.remove(f"{folder}/{TRANSFORMER}")
        with open(f"{blobs}/{64 * 'b'}.incomplete", "w") as f:
            f.write("part")
        self.faulty("checkpoint", ("transformer", ".incomplete", "hf download org/name"), "--model", folder)
        os.symlink(f"../../../blobs/{64 * 'b'}", f"{folder}/{TRANSFORMER}")
        self.faulty("checkpoint", (TRANSFORMER, f"blobs/{64 * 'b'}", "not there", "hf download org/name"), "--model", folder)

    def test_no_such_model(self):
        self.faulty("checkpoint", (self.path("nowhere"), "no such folder", "diffusers checkpoint folder"),
                    "--model", self.path("nowhere"))
        cache = self.path("hub")
        os.makedirs(f"{cache}/models--zai-org--CogVideoX-2b/snapshots/{40 * 'a'}")
        self.faulty("checkpoint", ("thudm/CogVideoX-2b", cache, "zai-org/CogVideoX-2b", "hf download thudm/CogVideoX-2b"),
                    "--model", "thudm/CogVideoX-2b", HF_HUB_CACHE=cache)


class ProgramTest(DoctorTest):
    def installation(self, worker):
        """The client and the frontend in a folder of their own, beside this worker (None: without one)."""
        folder = self.path("bin")
        os.makedirs(folder)
        for name in ("cogwheel", "cogwheel-server"):
            shutil.copy(program(name), folder)
        if worker is not None:
            with open(f"{folder}/cogwheel-worker", "w") as f:
                f.write(worker)
            os.chmod(f"{folder}/cogwheel-worker", 0o755)
        return f"{folder}/cogwheel"

    def test_workers_that_do_not_start(self):
        for worker, said in (
                (None, ("cogwheel-worker", "No such file", "into one folder")),
                ("#!/bin/sh\nkill -ILL $$\n", ("signal 4", "lacks an instruction", "scripts/build")),
                ("#!/bin/sh\nkill -KILL $$\n", ("signal 9", "memory", "dmesg")),
                ("\x7fELFgarbage", ("cogwheel-worker", "Exec format error", "build it here")),
                ("#!/bin/sh\necho 'x: /lib/libc.so.6: version `GLIBC_2.99'\"'\"' not found (required by x)' >&2; exit 1\n",
                 ("GLIBC_2.99", "C library is older", "scripts/build"))):
            with self.subTest(worker):
                binary = self.installation(worker)
                self.faulty("program", said, "--model", SHAPES, binary=binary)
                shutil.rmtree(os.path.dirname(binary))

    def test_libraries_of_others_in_front(self):
        folder = self.path("lib")
        os.mkdir(folder)
        library = f"{folder}/libstdc++.so.6"
        for content, said in ((b"", "file too short"), (b"no library at all" * 8, "invalid ELF header")):
            with open(library, "wb") as f:
                f.write(content)
            self.faulty("libraries", (library, said, "unset LD_LIBRARY_PATH"), LD_LIBRARY_PATH=f"/nowhere:{folder}")
        os.remove(library)
        listed = subprocess.run(["ldd", program("cogwheel-worker")], capture_output=True, text=True, check=True).stdout
        own = {line.split()[0]: line.split()[2] for line in listed.splitlines() if "=> /" in line}
        shutil.copy(own["libm.so.6"], library)  # a library, but another one
        self.faulty("libraries", (library, "GLIBCXX_", own["libstdc++.so.6"], f"; take {folder} out"), LD_LIBRARY_PATH=folder)
        os.remove(library)
        torch = f"{folder}/libc10.so"  # the loader's words name the one that misses it
        shutil.copy(own["libm.so.6"], torch)
        self.faulty("libraries", ("undefined symbol", torch, own["libc10.so"], f"; take {folder} out"), LD_LIBRARY_PATH=folder)
        os.remove(torch)
        shutil.copy(own["libstdc++.so.6"], library)  # one that works: whose folder is told all the same
        self.warned("libraries", (library, own["libstdc++.so.6"], f"take {folder} out"), LD_LIBRARY_PATH=folder)
        os.remove(library)
        with open(f"{folder}/libprotobuf.so.32", "w") as f:
            f.write("nobody loads this")
        self.assertEqual([], self.lines("warning", self.doctor(LD_LIBRARY_PATH=folder)))

    def test_cuda_without_a_gpu(self):
        self.faulty("gpu", ("device cuda", "--device cpu"), "--device", "cuda")


class MachineTest(DoctorTest):
    def test_limits(self):
        if not SANITISED:  # whose shadow memory alone is larger
            self.faulty("program", ("cogwheel-worker", "ulimit -v is 307200", "raise ulimit -v"),
                        prepare=limited(resource.RLIMIT_AS, 300 << 20))
            for kind, name in ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d")):
                for mesh, said in (((), "1 rank with"), (("--ulysses", "2"), "--ulysses 2 with")):
                    at_most = 800_000 if kind == resource.RLIMIT_AS else 350_000
                    self.faulty("memory", (said, "17x96x128", f"free ({name})", "MiB", "raise that limit"), *mesh,
                                prepare=limited(kind, at_most << 10))
        self.faulty("open files", ("ulimit -n", "30"), prepare=limited(resource.RLIMIT_NOFILE, 30))
        self.faulty("temporary folder", (self.temporary, "File too large", "ulimit -f"),
                    prepare=limited(resource.RLIMIT_FSIZE, 100_000))

    def test_more_ranks_than_cpus(self):
        def one_cpu():
            die_with_parent()
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.warned("cpus", ("1 CPU for 2 ranks", "a mesh of 1"), "--ulysses", "2", prepare=one_cpu)

    def test_temporary_folders(self):
        result = self.doctor(TMPDIR=self.path("nowhere"))
        self.assertEqual(2, result.returncode)
        for line in self.lines("fault", result):
            self.assertIn(self.path("nowhere"), line)
            self.assertIn("set TMPDIR", line)
        os.chmod(self.temporary, 0o500)
        self.faulty("temporary folder", (self.temporary, "Permission denied", "TMPDIR"), prepare=obey_permissions)
        os.chmod(self.temporary, 0o700)

    @unittest.skipUnless(may(("-m",), "mount -t tmpfs none /tmp"), "mount namespaces are not allowed")
    def test_a_full_disk(self):
        script = f"mount -t tmpfs -o size=1m none {self.temporary}"
        result = self.doctor(prefix=in_namespaces(("-m",), script))
        self.assertEqual(2, result.returncode, result.stdout)
        disk, write = self.lines("fault", result)
        self.assertIn("1.0 MiB free", disk)
        self.assertIn("set TMPDIR", disk)
        self.assertIn("No space left", write)

    @unittest.skipUnless(may(("-n",), NARROW_PORTS), "network namespaces are not allowed")
    def test_loopback(self):
        self.faulty("ports", ("127.0.0.1", "ip link set lo up"), prefix=in_namespaces(("-n",), "true"))
        up = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 1))"
        result = self.doctor("--ulysses", "2", prefix=in_namespaces(("-n",), f'{NARROW_PORTS}; python3 -c "{up}"'))
        self.assertEqual(2, result.returncode, result.stdout)
        port_range, ports = self.lines("fault", result)
        self.assertIn("ip_local_port_range holds 3 ports", port_range)
        self.assertRegex(ports, "port [234] of 6 cannot be taken on 127.0.0.1: Address already in use; .*ip_local_port_range")


if __name__ == "__main__":
    unittest.main()
