"""Saves text encoders and tokenizers with the transformers of this interpreter. Each line of standard input is a JSON object:
`source`, `folder`, `dtype`, and `how`, the arguments of save_pretrained; a line answers each."""

import json
import sys

import torch
import transformers

for line in sys.stdin:
    job = json.loads(line)
    encoder = transformers.T5EncoderModel.from_pretrained(job["source"] + "/text_encoder")
    encoder.to(getattr(torch, job["dtype"])).save_pretrained(job["folder"] + "/text_encoder", **job["how"])
    transformers.T5Tokenizer.from_pretrained(job["source"] + "/tokenizer").save_pretrained(job["folder"] + "/tokenizer")
    print(transformers.__version__, flush=True)
