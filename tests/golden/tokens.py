"""Token ids of the reference's tokenizer as the pipelines call it."""

import json
import pathlib
import shutil
import tempfile

from transformers import T5Tokenizer

import case_list
import checkpoint_list
from reference import HERE

PROMPTS = [
    "", " ", "\n", "a", "A", "a red circle moving to the right", case_list.LONG, case_list.OTHER,
    "  leading and trailing  ", "tabs\tand\nnew\r\nlines", "many     spaces   inside",
    "no-break\u00a0space and\u3000ideographic", "zero\u200bwidth and joiner\u200dhere",
    "\ufefffirst a byte order mark", "soft\u00adhyphen", "control\u0001character\u007f",
    "RED Circle", "a red circle.", "a red,circle;moving: (to) the \"right\"!", "12 345 6789",
    "caf\u00e9 na\u00efve", "cafe\u0301 (combining)",
    "\ufb01ne \uff26\uff35\uff2c\uff2c\u3000width",
    "\u2460 \u00bd \u2122 \u2026 x\u00b2", "\u7ea2\u8272\u7684\u5706\u5f62",
    "\u043a\u0440\u0430\u0441\u043d\u044b\u0439 \u043a\u0440\u0443\u0433",
    "\u0627\u0644\u062f\u0627\u0626\u0631\u0629",
    "\U0001f534 \U0001f468\u200d\U0001f469\u200d\U0001f467 circle", "\u0130stanbul \u00df \u1e9e",
    "</s>", "a red </s> circle", "red</s>circle", "</s></s>", "<pad>", "a <pad> b", "<unk> circle",
    "<extra_id_5>", "a <extra_id_5> circle", "red<extra_id_0>circle", "<extra_id_99><extra_id_100>",
    "< /s> <PAD> </S> <extra_id_>", "\u2581red\u2581circle", "\u2581", "a\u2581 \u2581b",
    "the the the " * 40, "x" * 300, "a red circle " * 100, "\u00e9" * 50,
    "circle\u2028line\u2029paragraph\u0085next", "tab\u000bvertical\u000cfeed",
]
LENGTHS = (13, 32)


def tokenizer(extra_ids):
    """The tokenizer of a folder that names that many sentinels, as the real checkpoints do."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path, content in checkpoint_list.tokenizer_files(32).items():
            content = dict(content)
            if extra_ids:
                sentinels = [f"<extra_id_{i}>" for i in range(extra_ids)]
                content["additional_special_tokens"] = sentinels
                if "extra_ids" in content:
                    content["extra_ids"] = extra_ids
            (folder / pathlib.Path(path).name).write_text(json.dumps(content))
        shutil.copy(HERE / "spiece.model", folder)
        return T5Tokenizer.from_pretrained(folder)


def make():
    sets = []
    for extra_ids in (0, 100):
        tokenize = tokenizer(extra_ids)
        for length in LENGTHS:
            ids = tokenize(PROMPTS, padding="max_length", max_length=length, truncation=True,
                           add_special_tokens=True).input_ids
            sets.append({"extra_ids": extra_ids, "max_length": length, "ids": ids})
    return {"model": "spiece.model", "prompts": PROMPTS, "sets": sets}
