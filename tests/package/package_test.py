"""The packages of scripts/package in an empty Debian 12: nothing else is needed, and the first video is there in 30 s.

Run by scripts/check --long, as root: debootstrap makes the root folder, with what every Debian has.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import media  # noqa: E402

PACKAGES = os.path.join(ROOT, "build", "package")
PROGRAMS = ("cogwheel", "cogwheel-server", "cogwheel-worker")
MIRROR = "http://deb.debian.org/debian"
FIRST_VIDEO_LIMIT_S = 30
# What libc6, libstdc++6 and libgcc-s1 of Ubuntu 24.04 offer at most.
UBUNTU_2404 = {"GLIBC": (2, 39), "GLIBCXX": (3, 4, 33), "CXXABI": (1, 3, 15), "GCC": (14, 0, 0)}


def run(*argv, limit_s=60):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def only(pattern):
    found = glob.glob(os.path.join(PACKAGES, pattern))
    if len(found) != 1:
        raise AssertionError(f"{pattern}: {found}; scripts/package makes it")
    return found[0]


def versions(path):
    """{name: highest version} of the symbols that a program or library asks others for."""
    highest = {}
    for name, version in re.findall(r" (GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)$", run("objdump", "-p", path), re.M):
        highest[name] = max(highest.get(name, ()), tuple(map(int, version.split("."))))
    return highest


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="cogwheel-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.debian = os.path.join(cls.folder, "debian")
        run("debootstrap", "--variant=minbase", "bookworm", cls.debian, MIRROR, limit_s=600)

    def inside(self, *argv, user="65534:65534", limit_s=60):
        """Runs in the empty root, with /proc, as nobody unless user says otherwise."""
        return run("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.debian}/proc",
                   "chroot", f"--userspec={user}", self.debian, *argv, limit_s=limit_s)

    def makes_a_video(self, program):
        self.inside(program, "generate", "--prompt", "a yellow star moving to the right", "-o", "/tmp/star.mp4",
                    limit_s=FIRST_VIDEO_LIMIT_S)
        path = os.path.join(self.debian, "tmp", "star.mp4")
        with open(path, "rb") as f:
            kinds = [kind for kind, _, _ in media.all_boxes(f.read())]
        os.remove(path)
        self.assertEqual("ftyp", kinds[0])
        self.assertIn("mdat", kinds)

    def loads(self, folder):
        """The libraries that the programs load from elsewhere than folder, as Debian packages."""
        others = set()
        for program in PROGRAMS:
            listed = self.inside("ldd", f"{folder}/bin/{program}")
            self.assertNotIn("not found", listed)
            others |= {path for path in re.findall(r"(/\S+) \(0x", listed)
                       if not os.path.normpath(path).startswith(f"{folder}/lib/cogwheel/")}
        return {self.owner(path) for path in others}

    def owner(self, path):
        for file in glob.glob(f"{self.debian}/var/lib/dpkg/info/*.list"):
            with open(file, encoding="utf-8") as f:
                if {path, "/usr" + path} & set(f.read().splitlines()):  # /lib is /usr/lib; packages say either
                    return os.path.basename(file).split(":")[0].removesuffix(".list")
        return path

    def test_tarball(self):
        begin = time.monotonic()
        os.makedirs(os.path.join(self.debian, "opt"), exist_ok=True)
        run("tar", "-C", os.path.join(self.debian, "opt"), "-xf", only("*.tar.xz"))
        folder = "/opt/" + os.path.basename(only("*.tar.xz"))[:-len(".tar.xz")]
        self.makes_a_video(f"{folder}/bin/cogwheel")
        took = time.monotonic() - begin
        print(f"tarball: unpacked and a video made in {took:.1f} s")
        self.assertLess(took, FIRST_VIDEO_LIMIT_S)
        self.assertLessEqual(self.loads(folder), {"libc6", "libstdc++6", "libgcc-s1"})
        for file in ("LICENSE", "NOTICE", "licences/torch", "licences/ffmpeg"):
            self.assertTrue(os.path.exists(f"{self.debian}{folder}/share/doc/cogwheel/{file}"), file)

    def test_deb(self):
        begin = time.monotonic()
        shutil.copy(only("*.deb"), os.path.join(self.debian, "tmp", "cogwheel.deb"))
        self.inside("dpkg", "-i", "/tmp/cogwheel.deb", user="0:0")
        self.makes_a_video("cogwheel")
        took = time.monotonic() - begin
        print(f"deb: installed and a video made in {took:.1f} s")
        self.assertLess(took, FIRST_VIDEO_LIMIT_S)
        declared = self.inside("dpkg-query", "-W", "-f", "${Depends}", "cogwheel")
        self.assertEqual(self.loads("/usr"), {need.split(" ")[0] for need in declared.split(", ")})
        self.inside("dpkg", "--purge", "cogwheel", user="0:0")
        self.assertEqual("", self.inside("find", "/usr", "-name", "*cogwheel*"))

    def test_ubuntu_2404_by_its_symbols(self):
        tree = only("*.tar.xz")[:-len(".tar.xz")]
        highest = {}
        for path in glob.glob(f"{tree}/bin/*") + glob.glob(f"{tree}/lib/cogwheel/*"):
            for name, version in versions(path).items():
                highest[name] = max(highest.get(name, ()), version)
        for name, version in highest.items():
            print(f"Ubuntu 24.04, not run: {name} {'.'.join(map(str, version))} needed, "
                  f"{'.'.join(map(str, UBUNTU_2404[name]))} there")
            self.assertLessEqual(version, UBUNTU_2404[name], name)
        self.assertLessEqual({"GLIBC", "GLIBCXX"}, set(highest))

    def test_units_are_valid(self):
        folder = os.path.join(self.folder, "deb")
        run("dpkg-deb", "-x", only("*.deb"), folder)
        units = sorted(glob.glob(f"{folder}/usr/lib/systemd/system/*.service"))
        self.assertEqual(2, len(units))
        for unit in units:  # as where the programs are installed
            with open(unit, encoding="utf-8") as f:
                text = f.read().replace("=/usr/bin/", f"={folder}/usr/bin/")
            with open(unit, "w", encoding="utf-8") as f:
                f.write(text)
        if shutil.which("systemd-analyze"):
            self.assertEqual("", run("systemd-analyze", "verify", *units))


if __name__ == "__main__":
    unittest.main()
