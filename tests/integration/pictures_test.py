"""Over 200 pictures, formats by kinds, made with Pillow, libjpeg and FFmpeg: each is read as the reference's load_image reads it
(Pillow's exif_transpose and convert("RGB")) within 1 level, or refused at submit in one line."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import warnings
import zlib

sys.path.insert(0, os.path.dirname(__file__))
from support import BIN  # it puts the test packages on the path

import numpy as np
from PIL import Image, ImageOps

TOOL = os.path.join(BIN, "..", "tests", "picture_files")
WIDTH, HEIGHT = 67, 45  # a multiple of no block


def scene(width=WIDTH, height=HEIGHT, channels=3):
    """Gradients, edges and some noise, so that each way to enlarge colours shows."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(7).integers(0, 40, (height, width))
    planes = [4 * x % 256, 5 * y % 256, (x // 9 + y // 7) % 2 * 200 + noise, 255 - 3 * x % 256]
    return np.stack(planes[:channels], -1).astype(np.uint8)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, colour, rows, more=b"", behind=b"", interlaced=0):
    """By hand: what Pillow does not write. rows: with their filters' bytes."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + behind + chunk(b"IEND", b"")


def exif(orientation, order="<", kind=3, count=1, value=None):
    body = value if value is not None else struct.pack(order + "H", orientation) + bytes(2)
    return ((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8) + struct.pack(order + "HHHL", 1, 274, kind, count)
            + body + bytes(4) + (struct.pack(order + "LL", orientation * 3, 3) if kind in (5, 10) else b""))


def xmp(orientation, element=False):
    tag = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else f'<x tiff:Orientation="{orientation}"/>'
    return f"<x:xmpmeta>{tag}</x:xmpmeta>".encode()


def segment(marker, body):
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def behind_start(jpeg, more):
    return jpeg[:2] + more + jpeg[2:]


def resized(jpeg, change):
    """The JPEG with its frame header's data changed."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        at += 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
    size = struct.unpack(">H", jpeg[at + 2:at + 4])[0]
    marker, body = change(jpeg[at + 1], jpeg[at + 4:at + 2 + size])
    return jpeg[:at] + segment(marker, body) + jpeg[at + 2 + size:]


class PicturesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.tool = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.count = {"read": 0, "refused": 0}
        cls.tests_run = 0

    @classmethod
    def tearDownClass(cls):
        cls.tool.communicate(timeout=60)
        cls.folder.cleanup()
        print("pictures:", cls.count, file=sys.stderr)
        if cls.tests_run == len(unittest.defaultTestLoader.getTestCaseNames(cls)):
            assert cls.count["read"] >= 200, cls.count

    def setUp(self):
        type(self).tests_run += 1

    def ask(self, *words):
        self.tool.stdin.write(" ".join(map(str, words)) + "\n")
        self.tool.stdin.flush()
        return self.tool.stdout.readline().rstrip("\n")

    def path(self, name):
        return os.path.join(self.folder.name, name.replace(" ", "_"))

    def reference(self, content):
        """load_image's pixels, or None where it raises."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")).astype(int)
        except Exception:
            return None

    def look(self, name, content, said=None):
        """said: words of the refusal that is asked for; without, the picture must be read."""
        with self.subTest(name):
            path = self.path(name)
            with open(path, "wb") as file:
                file.write(content)
            answer = self.ask("read", path)
            if said is not None:
                self.count["refused"] += 1
                self.assertTrue(answer.startswith("header "), answer)
                self.assertIn(said, answer)
                self.assertNotIn("libjpeg", answer)
                return
            expected = self.reference(content)
            self.assertIsNotNone(expected, "the reference does not read it; here: " + answer)
            self.count["read"] += 1
            self.assertEqual(f"{expected.shape[1]} {expected.shape[0]}", answer)
            got = np.fromfile(path + ".rgb", np.uint8).reshape(expected.shape).astype(int)
            self.assertLessEqual(abs(got - expected).max(), 1)

    def encoded(self, pixels, colours, sampling, coding="-", restart=0, command="jpeg"):
        """A JPEG by libjpeg's or FFmpeg's encoder."""
        source, target = self.path("source"), self.path("encoded")
        pixels.tofile(source)
        self.assertEqual("written", self.ask(command, target, source, pixels.shape[1], pixels.shape[0], colours, sampling, coding, restart))
        with open(target, "rb") as file:
            return file.read()

    def test_orientations(self):
        image = Image.fromarray(scene())
        for turn in range(0, 10):
            data = exif(turn)
            for order in "<>":
                self.look(f"jpeg {turn} {order}", saved(image, "JPEG", exif=b"Exif\0\0" + exif(turn, order)))
            self.look(f"jpeg xmp {turn}", behind_start(saved(image, "JPEG"),
                                                       segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(turn))))
            plain = saved(image, "PNG")
            self.look(f"png {turn}", saved(image, "PNG", exif=data))
            self.look(f"png behind {turn}", plain[:-12] + chunk(b"eXIf", data) + plain[-12:])
            self.look(f"png profile {turn}", plain[:33] + chunk(
                b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(data):8}\n{data.hex()}\n".encode())) + plain[33:])
            text = f"\nexif\n{len(data):8}\n" + "\n".join(data.hex()[i:i + 16] for i in range(0, 2 * len(data), 16)) + "\n"
            self.look(f"png text profile {turn}", plain[:33] + chunk(b"tEXt", b"Raw profile type exif\0" + text.encode()) + plain[33:])
            self.look(f"png xmp {turn}", plain[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turn, True)) + plain[33:])
            self.look(f"webp {turn}", saved(image, "WEBP", lossless=True, exif=data))
            self.look(f"webp xmp {turn}", saved(image, "WEBP", quality=90, xmp=xmp(turn)))

    def test_orientations_of_odd_tags(self):
        image = Image.fromarray(scene())
        long6 = struct.pack("<L", 6)
        for name, data in {
                "long": exif(6, kind=4, value=long6), "byte": exif(6, kind=1, value=long6), "text": exif(6, kind=2, count=2, value=b"6\0\0\0"),
                "rational": exif(6, kind=5, value=struct.pack("<L", 26)), "float": exif(6, kind=11, value=struct.pack("<f", 6)),
                "two values": exif(6, count=2), "no value": exif(6, count=0), "unknown type": exif(6, kind=99),
                "far away": exif(6, kind=4, count=9, value=struct.pack("<L", 1 << 20)), "odd header": b"MM*\0" + exif(6, ">")[4:],
                "cut directory": exif(6)[:16], "no directory": b"II*\0" + struct.pack("<L", 9999), "empty": b"II*\0" + bytes(8),
                "prefix twice": b"Exif\0\0" + exif(8)}.items():
            self.look("jpeg " + name, saved(image, "JPEG", exif=b"Exif\0\0" + data))
            self.look("webp " + name, saved(image, "WEBP", exif=data))
        both = saved(image, "PNG", exif=exif(1))
        self.look("xmp beside exif", both[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)) + both[33:])
        other = exif(6).replace(struct.pack("<H", 274), struct.pack("<H", 271))
        self.look("xmp beside another tag", behind_start(saved(image, "JPEG", exif=b"Exif\0\0" + other), segment(
            0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(8))))
        prefixed = b"Exif\0\0" + exif(6)
        for mode in ("L", "CMYK"):
            self.look("turned " + mode, saved(image.convert(mode), "JPEG", exif=prefixed, progressive=True))
        for mode in ("1", "L", "LA", "P", "RGBA"):
            self.look("turned png " + mode, saved(image.convert(mode), "PNG", exif=exif(7)))
        self.look("turned png 16 grey", saved(Image.fromarray(scene(channels=1)[..., 0].astype(np.uint16) * 3), "PNG", exif=exif(5)))
        self.look("turned mpo", saved(image, "MPO", save_all=True, append_images=[Image.fromarray(scene(30, 20))], exif=prefixed))
        self.look("turned webp with a prefix", saved(image, "WEBP", exif=prefixed))
        self.look("turned moving webp", saved(image, "WEBP", save_all=True, append_images=[Image.fromarray(255 - scene())], exif=exif(8)))
        parts = exif(6)
        self.look("two segments", behind_start(saved(image, "JPEG"), segment(0xE1, b"Exif\0\0" + parts[:9]) + segment(
            0xE1, b"Exif\0\0" + parts[9:])))
        for name, data in {"no header": b"junk" + bytes(20), "short": b"II*\0", "big tiff": b"II+\0" + bytes(12)}.items():
            self.look("png " + name, saved(image, "PNG", exif=data), "damaged EXIF data")
            self.look("webp " + name, saved(image, "WEBP", exif=data), "damaged EXIF data")
            self.look("jpeg " + name, saved(image, "JPEG", exif=b"Exif\0\0" + data))
            self.look("jpeg of 72 dpi " + name, saved(image, "JPEG", exif=b"Exif\0\0" + data, dpi=(72, 72)), "damaged EXIF data")

    def test_jpeg_kinds(self):
        colours, grey, four = scene(), scene(channels=1), scene(channels=4)
        for sampling in ("1x1,1x1,1x1", "2x1,1x1,1x1", "2x2,1x1,1x1", "1x2,1x1,1x1", "4x1,1x1,1x1", "4x2,1x1,1x1", "1x4,1x1,1x1",
                         "3x1,1x1,1x1", "2x2,2x1,1x2", "2x1,1x1,2x1", "2x2,2x2,1x1", "3x2,1x1,1x1"):
            for coding in "-pa":
                self.look(f"ycc {sampling} {coding}", self.encoded(colours, "ycc", sampling, coding))
        for name in ("rgb", "ycck", "cmyk", "grey"):
            pixels = grey if name == "grey" else colours if name == "rgb" else four
            for coding in ("-", "p", "a", "ap", "e"):
                for restart in (0, 3):
                    sampling = ",".join(["2x2" if name == "ycck" else "1x1"] + ["1x1"] * 2 + ["2x2" if name == "ycck" else "1x1"])
                    self.look(f"{name} {coding} {restart}", self.encoded(pixels, name, sampling, coding, restart))
        for size in ((1, 1), (1, 40), (40, 1), (8, 8), (17, 16), (300, 200)):
            self.look(f"size {size}", self.encoded(scene(*size), "ycc", "2x2,1x1,1x1"))
            self.look(f"ffmpeg {size}", self.encoded(scene(*size), "", "", command="ffmpeg"))
        for quality in (5, 50, 100):
            for mode in ("RGB", "L", "CMYK"):
                self.look(f"pillow {mode} {quality}", saved(Image.fromarray(colours).convert(mode), "JPEG", quality=quality))

    def test_jpeg_surroundings(self):
        plain = saved(Image.fromarray(scene()), "JPEG")
        progressive = saved(Image.fromarray(scene()), "JPEG", progressive=True)
        for name, jpeg in {"baseline": plain, "progressive": progressive}.items():
            self.look(name + " behind", jpeg + b"bytes behind" * 9)
            self.look(name + " another behind", jpeg + progressive)
            self.look(name + " fill bytes", behind_start(jpeg, b"\xff\xff\xff"))
            self.look(name + " junk between", behind_start(jpeg, b"\xff\xfe\0\4ab junk"))
            self.look(name + " cut and ended", jpeg[:-90] + b"\xff\xd9")
            self.look(name + " before", b"x" + jpeg, "neither PNG nor JPEG")
            for cut in (1, 2, 3, len(jpeg) // 2):
                self.look(f"{name} cut {cut}", jpeg[:-cut], "ends early")
            self.look(name + " header only", jpeg[:100], "ends early")
        mpo = saved(Image.fromarray(scene()), "MPO", save_all=True, append_images=[Image.fromarray(scene(30, 20))])
        self.look("mpo", mpo)
        two_frames = plain.index(b"\xff\xc0")
        self.look("two frames", plain[:two_frames] + plain[two_frames:two_frames + 19] + plain[two_frames:], "two frame headers")
        self.look("12 bits", resized(plain, lambda marker, body: (0xC1, b"\x0c" + body[1:])), "12 bits")
        self.look("2 colours", resized(plain, lambda marker, body: (marker, body[:5] + b"\2" + body[6:12])), "2 colours")
        self.look("fractions", resized(plain, lambda marker, body: (marker, body[:7] + b"\x31" + body[8:10] + b"\x21" + body[11:])), "whole multiple")
        self.look("large units", resized(plain, lambda marker, body: (marker, body[:7] + b"\x44" + body[8:])), "18 blocks")
        for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF):
            coding = "lossless" if marker in (0xC3, 0xCB) else "hierarchical"
            self.look(f"frame {marker:x}", resized(plain, lambda _, body, m=marker: (m, body)), coding)
        self.look("no size", resized(plain, lambda marker, body: (marker, body[:1] + bytes(4) + body[5:])), "0 x 0")

    def test_png_kinds(self):
        image = Image.fromarray(scene())
        alpha = Image.fromarray(scene(channels=4))
        for name, picture in {"rgb": image, "rgba": alpha, "la": image.convert("LA"), "l": image.convert("L"), "1": image.convert("1"),
                              "p": image.quantize(200), "p16": image.quantize(16), "p4": image.quantize(4), "p2": image.quantize(2)}.items():
            self.look("png " + name, saved(picture, "PNG"))
            self.look("png small " + name, saved(picture, "PNG", optimize=True))
        self.look("png trns p", saved(image.quantize(20), "PNG", transparency=3))
        self.look("png trns rgb", saved(image, "PNG", transparency=(0, 0, 0)))
        self.look("png 16 grey", saved(Image.fromarray(scene(channels=1)[..., 0].astype(np.uint16) * 7), "PNG"))
        random = np.random.default_rng(3)
        for colour, bits, samples in ((0, 1, 1), (0, 2, 1), (0, 4, 1), (0, 8, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3), (3, 1, 1), (3, 2, 1),
                                      (3, 4, 1), (3, 8, 1), (4, 8, 2), (4, 16, 2), (6, 8, 4), (6, 16, 4)):
            palette = chunk(b"PLTE", random.bytes(3 * min(1 << bits, 200))) if colour == 3 else b""
            for width, height in ((1, 1), (3, 2), (19, 13)):
                for interlaced in (0, 1):
                    rows = b""
                    for x, y, right, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                                              (0, 1, 1, 2)) if interlaced else ((0, 0, 1, 1),):
                        columns = len(range(x, width, right))
                        for row in range(len(range(y, height, down)) if columns else 0):
                            rows += bytes((row % 5,)) + random.bytes((columns * bits * samples + 7) // 8)
                    self.look(f"png {colour} {bits} {width}x{height} {interlaced}", png(width, height, bits, colour, rows, palette,
                                                                                         interlaced=interlaced))

    def test_png_surroundings(self):
        plain = saved(Image.fromarray(scene()), "PNG")
        rows = (b"\0" + bytes(range(12))) * 3
        self.look("png behind", plain + b"behind" * 9)
        self.look("png without end", plain[:-12])
        self.look("png wrong checksum of pixels", plain[:-13] + bytes((plain[-13] ^ 1,)) + plain[-12:])
        self.look("png unknown chunks", png(4, 3, 8, 2, rows, chunk(b"abCd", b"?") + chunk(b"ABCD", b"?")))
        self.look("png no palette", png(4, 3, 8, 3, (b"\0" + bytes(range(4))) * 3))
        self.look("png short palette", png(4, 3, 8, 3, (b"\0" + bytes(range(4))) * 3, chunk(b"PLTE", b"\1\2\3\4\5\6\7")))
        self.look("png grey palette", png(4, 3, 8, 0, (b"\0" + bytes(range(4))) * 3, chunk(b"PLTE", b"\1\2\3")))
        self.look("png more than its rows", png(4, 3, 8, 2, rows * 3))
        self.look("png fewer rows", png(4, 3, 8, 2, rows[:26]))
        self.look("png fewer palette rows", png(4, 3, 8, 3, b"\0\1\1\1\1", chunk(b"PLTE", b"\x50\x60\x70\4\5\6")))
        many = plain[:33] + b"".join(chunk(b"IDAT", plain[41 + i:42 + i]) for i in range(len(plain) - 57)) + plain[-12:]
        self.look("png of many chunks", many)
        frames = [Image.fromarray(scene()), Image.fromarray(255 - scene())]
        self.look("apng", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))
        self.look("png gamma profile", saved(Image.fromarray(scene()), "PNG", icc_profile=b"no profile", dpi=(72, 72)))
        for cut in (13, 20, len(plain) // 2):
            self.look(f"png cut {cut}", plain[:-cut], "ends early")
        self.look("png header", plain[:33], "before its pixels")
        self.look("png wrong checksum of header", plain[:29] + b"????" + plain[33:], "checksum of its IHDR")
        self.look("png 3 bits", png(4, 3, 3, 2, rows), "colour type 2 with 3 bits")
        self.look("png filter", plain[:26] + b"\0\0\1\0\0" + plain[31:], "IHDR")

    def test_webp_kinds(self):
        image, alpha = Image.fromarray(scene()), Image.fromarray(scene(channels=4))
        for size in ((1, 1), (2, 3), (67, 45), (300, 200)):
            picture, clear = Image.fromarray(scene(*size)), Image.fromarray(scene(*size, channels=4))
            for quality in (5, 80, 100):
                self.look(f"webp {size} {quality}", saved(picture, "WEBP", quality=quality))
                self.look(f"webp alpha {size} {quality}", saved(clear, "WEBP", quality=quality))
            self.look(f"webp lossless {size}", saved(picture, "WEBP", lossless=True))
            self.look(f"webp lossless alpha {size}", saved(clear, "WEBP", lossless=True, exact=True))
        moving = saved(image, "WEBP", save_all=True, append_images=[Image.fromarray(255 - scene())], duration=50)
        self.look("webp moving", moving)
        self.look("webp moving alpha", saved(alpha, "WEBP", save_all=True, append_images=[image], lossless=True))
        self.look("webp behind", saved(image, "WEBP") + b"behind")
        for name, webp in {"lossy": saved(image, "WEBP"), "lossless": saved(image, "WEBP", lossless=True), "moving": moving}.items():
            for cut in (1, len(webp) // 2):
                self.look(f"webp {name} cut {cut}", webp[:-cut], "ends early")

    def test_a_moving_webp_that_begins_in_a_corner(self):
        inside = saved(Image.fromarray(scene(20, 10)), "WEBP", lossless=True)[12:]

        def part(name, body):
            return name + struct.pack("<L", len(body)) + body + bytes(len(body) % 2)

        def three(value):
            return struct.pack("<L", value)[:3]

        def moving(x, y):
            frame = b"".join(map(three, (x // 2, y // 2, 19, 9, 40))) + b"\0" + inside
            body = (part(b"VP8X", b"\x02\0\0\0" + three(39) + three(29)) + part(b"ANIM", bytes(6)) + part(b"ANMF", frame))
            return b"RIFF" + struct.pack("<L", 4 + len(body)) + b"WEBP" + body

        self.look("corner", moving(8, 6))
        self.look("last corner", moving(20, 20))
        self.look("beyond", moving(22, 6), "does not fit its canvas")

    def test_other_formats(self):
        image = Image.fromarray(scene())
        for kind, said in (("GIF", "a GIF file"), ("BMP", "a BMP file"), ("TIFF", "a TIFF file"), ("ICO", "an icon file"),
                           ("JPEG2000", "a JPEG 2000 file"), ("AVIF", "an AVIF file")):
            self.look("as " + kind, saved(image, kind), said)
        for head, said in ((b"\0\0\0\x18ftypheic", "a HEIC file"), (b"\0\0\0\x18ftypmif1", "a HEIF file"), (b"\xff\x0a", "JPEG XL"),
                           (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"), (b"\0\0\0\x18ftypisom", "a video"), (b"%PDF-1.4", "PDF"),
                           (b"<svg xmlns=", "SVG"), (b"8BPS", "Photoshop"), (b"text", "neither PNG nor JPEG"), (b"\xff\xd8", "neither")):
            self.look(f"as {head}", head + bytes(40), said)


if __name__ == "__main__":
    unittest.main()
