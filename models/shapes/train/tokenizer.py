"""Trains the SentencePiece tokenizer on the grammar's words and writes its folder.

Every word is equally frequent here and seen with several endings (only what occurs in two
different words can become a piece), so that each becomes one piece, or nearly.

    python tokenizer.py MODEL_FOLDER
"""
import json
import pathlib
import string
import sys

import sentencepiece

import grammar

_SPECIAL = ("<pad>", "</s>", "<unk>")  # ids 0, 1, 2


def train(folder):
    folder.mkdir(parents=True, exist_ok=True)
    words = [w + end for w in sorted(grammar.words()) for end in ("", ".", ",")]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(100 * words + list(string.ascii_letters)),
        model_prefix=str(folder / "spiece"), model_type="unigram", vocab_size=320,
        hard_vocab_limit=False, character_coverage=1.0, minloglevel=2, num_threads=1,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        pad_piece=_SPECIAL[0], eos_piece=_SPECIAL[1], unk_piece=_SPECIAL[2],
        required_chars=string.ascii_letters + string.digits + ".,;:!?'-()\"")
    (folder / "spiece.vocab").unlink()
    special = dict(zip(("pad_token", "eos_token", "unk_token"), _SPECIAL))
    added = {str(i): {"content": p, "lstrip": False, "normalized": False, "rstrip": False,
                      "single_word": False, "special": True} for i, p in enumerate(_SPECIAL)}
    config = {"add_prefix_space": True, "additional_special_tokens": [], "extra_ids": 0,
              "clean_up_tokenization_spaces": True, "added_tokens_decoder": added, "legacy": True,
              "model_max_length": grammar.MAX_TOKENS, "sp_model_kwargs": {},
              "tokenizer_class": "T5Tokenizer", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")


class Tokens:
    """Captions to the fixed-length ids that the reference pipeline makes of them."""

    def __init__(self, folder):
        self._pieces = sentencepiece.SentencePieceProcessor(
            model_file=str(pathlib.Path(folder) / "spiece.model"))
        self.vocabulary = self._pieces.get_piece_size()

    def ids(self, text):
        ids = self._pieces.encode(text)[:grammar.MAX_TOKENS - 1] + [1]
        return ids + [0] * (grammar.MAX_TOKENS - len(ids))


if __name__ == "__main__":
    train(pathlib.Path(sys.argv[1]) / "tokenizer")
