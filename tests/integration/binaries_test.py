"""What the programs are linked with and say about themselves."""

import os
import re
import subprocess
import unittest

from support import ProcessTest, program

SERVER_LIBRARIES = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
LOADER = re.compile(r"/ld-linux")


def libraries(name):
    listed = subprocess.run(["ldd", program(name)], capture_output=True, text=True, check=True).stdout
    return {line.split()[0].rsplit("/", 1)[-1] for line in listed.splitlines() if line.strip()}


class BinariesTest(ProcessTest):
    def test_client_and_server_need_the_c_library_only(self):
        for name in ("cogwheel", "cogwheel-server"):
            self.assertEqual(set(), libraries(name) - SERVER_LIBRARIES, name)

    def test_only_the_worker_loads_torch(self):
        self.assertIn("libtorch_cpu.so", libraries("cogwheel-worker"))

    def test_an_emptied_cache_breaks_no_program(self):
        """What programs load lies in the build folder, or is the distribution's: the cache may be cleaned."""
        listed = subprocess.run(["ldd", program("cogwheel-worker")], capture_output=True, text=True, check=True).stdout
        found = [os.path.realpath(path) for path in re.findall(r"=> (/\S+)", listed)]
        beside = os.path.join(os.path.realpath(program("..")), "lib", "cogwheel")
        own = {os.path.basename(path) for path in found if path.startswith(beside + "/")}
        self.assertLessEqual({"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}, own)
        self.assertEqual([], [path for path in found if not path.startswith((beside + "/", "/lib", "/usr/lib"))])

    def test_no_program_offers_symbols_of_its_libraries(self):
        for name in ("cogwheel", "cogwheel-server", "cogwheel-worker"):
            listed = subprocess.run(["nm", "-D", "--defined-only", program(name)], capture_output=True, text=True).stdout
            offered = [line for line in listed.splitlines() if re.search(r"grpc|google|absl|sentencepiece", line)]
            self.assertEqual([], offered[:5], name)

    def test_versions_of_everything_inside(self):
        for name, inside in (("cogwheel", ("gRPC", "protobuf", "abseil", "compiler (gcc|.*clang)", "zlib")), ("cogwheel-server", ("gRPC", "protobuf", "zlib")),
                             ("cogwheel-worker", ("gRPC", "protobuf", "torch", "FFmpeg", "libjpeg-turbo", "libwebp", "zlib"))):
            shown = subprocess.run([program(name), "--version"], capture_output=True, text=True, timeout=30)
            self.assertEqual(0, shown.returncode, shown.stderr)
            self.assertRegex(shown.stdout, rf"\A{name} [0-9.]+(, commit [0-9a-f]{{10}}(-dirty)?)?\n")
            for library in inside:
                self.assertRegex(shown.stdout.lower(), library.lower() + r"\S*\s+\S*[0-9]+\.[0-9]+")


if __name__ == "__main__":
    unittest.main()
