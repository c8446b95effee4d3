"""The shipped model at its default settings draws what captions say that it was never trained on.

SHAPES_CAPTIONS=64 measures all captions instead of 12 and prints the shares; that takes minutes.
"""

import json
import os
import sys
import unittest

from support import ROOT, SHAPES, ProcessTest

import media

sys.path.insert(0, os.path.join(SHAPES, "train"))
import meter  # noqa: E402

ATTRIBUTES = ("colour", "shape", "motion", "background")
LEAST_SHARES = {"colour": 0.97, "motion": 0.97, "all four": 0.95}


class ShippedModelTest(ProcessTest):
    def test_the_model_draws_its_captions(self):
        with open(os.path.join(ROOT, "tests", "integration", "shapes_captions.json")) as f:
            captions = json.load(f)
        self.assertEqual(64, len(captions))
        count = int(os.environ.get("SHAPES_CAPTIONS", "12"))
        captions = captions[::len(captions) // count][:count]
        _, _, address = self.start_service()
        right = dict.fromkeys((*ATTRIBUTES, "all four"), 0)
        wrong = []
        for caption in captions:
            self.succeeds("generate", "--server", address, "--prompt", caption["prompt"], "--seed", str(caption["seed"]),
                          "--output-type", "frames", "-o", "clip.safetensors")
            seen = meter.measure(media.read_tensor(self.path("clip.safetensors"), "frames"))
            as_asked = {name: seen[name] == caption[name] for name in ATTRIBUTES}
            for name in ATTRIBUTES:
                right[name] += as_asked[name]
            right["all four"] += all(as_asked.values())
            if not all(as_asked.values()):
                wrong.append(f"{caption['prompt']}: saw {[seen[name] for name in ATTRIBUTES]}")
        print(f"of {count}: {right}", *wrong, sep="\n", flush=True)
        for name, least in LEAST_SHARES.items():
            # Of a small sample one may be wrong, whatever share that is.
            self.assertGreaterEqual(right[name], min(count - 1, least * count), (name, wrong))


if __name__ == "__main__":
    unittest.main()
