"""What a model says of itself, and words that it does not know: from cogwheel.json to the caller, before the job runs."""

import json
import os
import re
import shutil
import sys
import unittest

import media
from support import ROOT, SHAPES, SMALL, ProcessTest, wait_until

sys.path.insert(0, os.path.join(SHAPES, "train"))
import grammar  # noqa: E402
import meter  # noqa: E402

CAT = "a cat riding a horse on the beach"
KNOWN = "a red square moving to the right"
TOLD = "shapes draws one coloured shape that moves over a plain background; it does not know: cat, riding, horse, beach"
WARNING = "cogwheel: warning: "
OWN_FILE = os.path.join(SHAPES, "cogwheel.json")


def warnings_of(result):
    return [line for line in result.stderr.splitlines() if line.startswith(WARNING)]


def shapes_texts():
    with open(OWN_FILE) as f:
        return json.load(f)


class TextsTest(unittest.TestCase):
    def test_the_vocabulary_is_the_grammars(self):
        captions = [grammar.caption(x, rng, phrasings) for phrasings in (grammar.PHRASINGS, grammar.HELD_OUT_PHRASINGS)
                    for x in grammar.ALL for rng in [grammar.random.Random(str(x))]]
        words = {word.strip(".,").lower() for text in captions for word in text.split()}
        vocabulary = shapes_texts()["vocabulary"]
        self.assertLessEqual(words, set(vocabulary))
        self.assertEqual({word.strip(".,").lower() for word in grammar.words()}, set(vocabulary))
        self.assertEqual(sorted(set(vocabulary)), vocabulary)
        self.assertEqual(grammar.VOCABULARY, tuple(vocabulary), "what export.py would write")

    def test_the_document_lists_every_key(self):
        with open(os.path.join(ROOT, "worker", "families", "cogvideox", "cogwheel_json.cc")) as f:
            source = f.read()
        keys = set(re.findall(r'(?:Read\w*|At|ReadList)\((?:json, |fields, )?"(\w+)"', source)) - {"matrix", "bias"}
        objects = set(re.findall(r'Object\("(\w+)"\)', source)) - {"preview"}
        with open(os.path.join(ROOT, "docs", "cogwheel_json.md")) as f:
            listed = re.findall(r"^\| `([\w.]+)` \|", f.read(), re.MULTILINE)
        self.assertEqual(len(set(listed)), len(listed))
        self.assertEqual(keys, {key.split(".")[-1] for key in listed})
        self.assertEqual(objects, {key.split(".")[0] for key in listed if "." in key})


class SamplePromptsTest(ProcessTest):
    def test_the_sample_prompts_are_drawn_as_they_say(self):
        samples = shapes_texts()["sample_prompts"]
        self.assertGreaterEqual(len(samples), 8)
        count = len(samples) if os.environ.get("SHAPES_CAPTIONS") else 2
        _, _, address = self.start_service()
        for prompt in samples[:count]:
            result = self.cogwheel("generate", "--server", address, "--prompt", prompt, "--seed", "3", "--output-type",
                                   "frames", "-o", "clip.safetensors")
            self.assertEqual((0, []), (result.returncode, warnings_of(result)), prompt)
            seen = meter.measure(media.read_tensor(self.path("clip.safetensors"), "frames"))
            self.assertIn(seen["colour"], prompt)
            self.assertTrue(any(word in prompt for word in grammar.SHAPES[seen["shape"]]), (prompt, seen))
            said = [phrase for kind in grammar.MOTIONS[seen["motion"]] for phrase in kind if phrase in prompt]
            self.assertTrue(said, (prompt, seen))


class ToldTest(ProcessTest):
    def setUp(self):
        super().setUp()
        _, _, self.address = self.start_service()

    def on(self, *arguments):
        result = self.cogwheel(*arguments, "--server", self.address)
        self.assertEqual(0, result.returncode, result.stderr)
        return result

    def job(self, name):
        return json.loads(self.on("get", name, "--json").stdout)

    def test_before_the_job_runs(self):
        blocker = self.on("submit", "--prompt", KNOWN, "--steps", "200")
        self.assertEqual("", blocker.stderr)
        wait_until(lambda: self.job(blocker.stdout.strip())["state"] == "RUNNING", 60, "the rank is busy")
        once = ("submit", "--prompt", CAT, *SMALL, "--request-id", "once")
        queued = self.on(*once)
        self.assertEqual(f"{WARNING}{TOLD}\n", queued.stderr)
        name = queued.stdout.strip()
        self.assertEqual(("QUEUED", [TOLD]), tuple(self.job(name)[key] for key in ("state", "warnings")))
        self.assertEqual((queued.stdout, queued.stderr), (self.on(*once).stdout, self.on(*once).stderr), "sent again")
        waiting = self.start_cogwheel("generate", "--prompt", CAT, *SMALL, "-o", "w.mp4", "--server", self.address)
        self.assertEqual(f"{WARNING}{TOLD}\n", waiting.stderr.readline())
        self.assertEqual("RUNNING", self.job(blocker.stdout.strip())["state"], "told while it waits")
        self.on("cancel", blocker.stdout.strip())
        stdout, stderr = waiting.communicate(timeout=60)
        self.assertEqual((0, 0), (waiting.returncode, stderr.count(WARNING)), "not told again")
        self.assertIn("w.mp4", stdout)
        self.on("watch", name)
        self.assertEqual([TOLD], self.job(name)["warnings"])
        self.assertIn(TOLD, self.on("get", name).stdout)

    def test_known_words_are_no_matter(self):
        for prompt in (KNOWN, "On a white background, an orange star gets bigger.", "A triangle, not moving"):
            self.assertEqual("", self.on("submit", "--prompt", prompt, "--negative-prompt", "", *SMALL).stderr, prompt)

    def test_other_prompts(self):
        for prompt, negative, *told in (
                ("two red circles", "", "two, circles"),
                ("A Red circle", "", "Red; try small letters"),
                ("red-circle, 4k", "", "4k"),
                ("красный круг 红圆 🐈", "", "красный, круг, 红圆, 🐈"),
                (KNOWN, "blurry, dark", "negative prompt: shapes does not know: blurry"),
                ("a b c d e f g h i j k", "", "b, c, d, e, f, g, h, i and 2 more")):
            job = self.on("submit", "--prompt", prompt, "--negative-prompt", negative, *SMALL)
            lines = job.stderr.splitlines()
            self.assertEqual(len(told), len(lines), job.stderr)
            for line, end in zip(lines, told):
                self.assertTrue(line.startswith(WARNING) and line.endswith(" " + end), line)

    def test_long_prompts_give_short_warnings(self):
        for piece in ("x", "圆", "🐈 ", "w\x1b[2J", "a1 b2 c3 "):
            prompt = (piece * 16384).encode()[:16380].decode(errors="ignore")
            job = json.loads(self.on("submit", "--prompt", prompt, *SMALL, "--json").stdout)
            self.on("watch", job["name"])
            warnings = self.job(job["name"])["warnings"]
            self.assertEqual(job["warnings"], warnings[:1])
            self.assertLessEqual(len(warnings), 2, "and that most of it was cut")
            for warning in warnings:
                self.assertLessEqual(len(warning.encode()), 1024)
                self.assertTrue(warning.isprintable(), warning)

    def test_the_model_says_what_it_is(self):
        model = json.loads(self.on("models", "--json").stdout)["models"][0]
        for key in ("description", "sample_prompts", "vocabulary"):
            self.assertEqual(shapes_texts()[key], model[key])


class OwnFileTest(ProcessTest):
    def model(self, **texts):
        shutil.copytree(SHAPES, self.path("model"), dirs_exist_ok=True)
        with open(self.path("model/cogwheel.json"), "w") as f:
            json.dump({**shapes_texts(), **texts}, f)
        return self.path("model")

    def generate(self, prompt, **texts):
        return self.cogwheel("generate", "--prompt", prompt, *SMALL, "--model", self.model(**texts), "-o", "o.mp4")

    def test_an_open_vocabulary_gives_no_warning(self):
        for nothing in ([], None):
            result = self.generate(CAT, vocabulary=nothing, sample_prompts=None, description=None)
            self.assertEqual((0, []), (result.returncode, warnings_of(result)), result.stderr)

    def test_by_itself_the_client_tells_too(self):
        result = self.generate(CAT)
        self.assertEqual((0, [WARNING + TOLD]), (result.returncode, warnings_of(result)), result.stderr)

    def test_the_largest_texts(self):
        words = [f"w{i}".ljust(64, "x") for i in range(4096)]
        result = self.generate(f"{words[7]} cat", vocabulary=words, description="ü" * 256,
                               sample_prompts=[" ".join(words[:7])] * 16)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(f"{WARNING}shapes draws {'ü' * 256}; it does not know: cat", warnings_of(result)[0])

    def test_what_it_cannot_hold_is_refused(self):
        for texts, *parts in (
                ({"description": "two\nlines"}, "description is", "1 to 512 bytes without control characters"),
                ({"vocabulary": ["a", "Red"]}, "vocabulary[1] is", "one word in small letters", "the nearest is red"),
                ({"sample_prompts": ["a cat"]}, "sample_prompts[0] is", "lacks cat")):
            result = self.generate(KNOWN, **texts)
            self.assertEqual(2, result.returncode, result.stderr)
            doctor = self.cogwheel("doctor", "--model", self.path("model"))
            self.assertEqual(2, doctor.returncode, doctor.stdout)
            for part in ("cogwheel.json", *parts):
                self.assertIn(part, result.stderr)
                self.assertIn(part, doctor.stdout)


if __name__ == "__main__":
    unittest.main()
