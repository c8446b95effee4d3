#!/usr/bin/env python3
"""Token ids of transformers for a tokenizer.json and text of many scripts.

    many_scripts.py [PIECES STRINGS FILE]     without arguments it writes many_scripts.json

A SentencePiece model is trained on the strings, gets the character map of spiece.model here, and
is saved by transformers. The tokenizers library takes that map grapheme by grapheme, SentencePiece
takes the longest key anywhere: DIFFERENT has the kinds of text for which that matters, with the ids
of both. Such text is left out of the strings, for which the ids must be one.
"""

import io
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from transformers import T5Tokenizer

HERE = pathlib.Path(__file__).parent
SENTINELS = 10

PHRASES = """
a red circle moving to the right
Ein roter Kreis bewegt sich nach rechts, größer als zuvor
Un cercle rouge se déplace vers la droite, où ça brûle
un círculo rojo que se mueve hacia la derecha, ¿mañana?
un círculo vermelho à direita não é só ficção
un cerchio rosso più a destra perché è così
kırmızı bir daire sağa doğru gidiyor, İstanbul ışığı
czerwone koło przesuwa się w prawo, zażółć gęślą jaźń
červený kruh se pohybuje doprava, příliš žluťoučký kůň
piros kör jobbra mozog, árvíztűrő tükörfúrógép
punainen ympyrä liikkuu oikealle, näin yöllä
en röd cirkel rör sig åt höger
en rød sirkel går mot høyre, blåbærsyltetøy
rauður hringur færist til hægri, þetta er ágætt
một vòng tròn đỏ di chuyển sang phải, tiếng Việt đẹp
sarkans aplis kustas pa labi, ļoti ātri
raudonas apskritimas juda į dešinę, ąžuolas
красный круг движется вправо, ещё подъём
червоне коло рухається праворуч, її ґанок
чырвоны круг рухаецца ўправа
црвени круг се креће удесно, џеп љубав
қызыл шеңбер оңға қарай жылжиды
ένας κόκκινος κύκλος κινείται δεξιά, ὦ ἄνδρες Ἀθηναῖοι
կարմիր շրջանակը շարժվում է դեպի աջ
წითელი წრე მოძრაობს მარჯვნივ
עיגול אדום נע ימינה, שָׁלוֹם עֲלֵיכֶם
دائرة حمراء تتحرك إلى اليمين، بِسْمِ اللَّهِ
دایره‌ای سرخ به راست می‌رود
سرخ دائرہ دائیں طرف جا رہا ہے، ٹھیک
ܕܘܪܐ ܣܘܡܩܐ ܠܝܡܝܢܐ
ދައިރާއެއް ކަނާތަށް
लाल वृत्त दाईं ओर जा रहा है, क्षत्रिय ज़िंदगी
একটি লাল বৃত্ত ডানদিকে যাচ্ছে, ক্ষমা করো
ਇੱਕ ਲਾਲ ਚੱਕਰ ਸੱਜੇ ਜਾ ਰਿਹਾ ਹੈ
લાલ વર્તુળ જમણી તરફ જાય છે
ଏକ ନାଲି ବୃତ୍ତ ଡାହାଣକୁ ଯାଉଛି
ஒரு சிவப்பு வட்டம் வலதுபுறம் நகர்கிறது, கௌரவம்
ఎరుపు వృత్తం కుడివైపుకు కదులుతోంది
ಕೆಂಪು ವೃತ್ತ ಬಲಕ್ಕೆ ಚಲಿಸುತ್ತಿದೆ
ചുവന്ന വൃത്തം വലത്തോട്ട് നീങ്ങുന്നു
රතු කවයක් දකුණට යයි, ශ්‍රී ලංකා
วงกลมสีแดงเคลื่อนไปทางขวา น้ำใจ
ວົງມົນສີແດງເຄື່ອນໄປທາງຂວາ ນ້ຳ
စက်ဝိုင်းနီတစ်ခု ညာဘက်သို့ ရွေ့သည်
រង្វង់ក្រហមផ្លាស់ទីទៅស្តាំ
དམར་པོའི་ཟླུམ་གཅིག་གཡས་སུ་འགྲོ།
一个红色的圆形向右移动，你好世界
一個紅色的圓形向右移動，龍門陣
赤い円が右に動いています、東京タワーへ行こう
アカイ エンガ ミギニ ウゴク、ガギグゲゴ パピプペポ
빨간 원이 오른쪽으로 움직입니다, 안녕하세요
ቀይ ክብ ወደ ቀኝ ይንቀሳቀሳል
ᎩᎦᎨ ᎦᏐᏆᎸ ᎠᎦᏘᏏ
ᐊᐅᐸᖅᑐᖅ ᐊᖕᒪᓗᖅᑐᖅ
ⵜⴰⵡⵔⵔⴰⵢⵜ ⵜⴰⵣⴳⴳⵯⴰⵖⵜ
ᠤᠯᠠᠭᠠᠨ ᠳᠤᠭᠤᠢ
ꯑꯉꯥꯡꯕ ꯀꯣꯏꯕ
ᱟᱨᱟᱜ ᱜᱩᱞᱟᱹᱸ
𐌰𐌱𐌲 𐌳𐌴𐌵
𝕬 𝓻𝓮𝓭 𝔠𝔦𝔯𝔠𝔩𝔢 𝟙𝟚𝟛
ﬁne ﬂow ＦＵＬＬ　ｗｉｄｔｈ ①②③ ½ ™ … x² №5 ㎏ ㍿
ｶﾀｶﾅ ﾊﾝｶｸ
ﷺ ﻻ ﺍﻟﺴﻼﻡ
🔴 👨‍👩‍👧 🏳️‍🌈 🇩🇪🇯🇵 👍🏽 circle ❤️
“quotes” ‘single’ «guillemets» „low‟ – — ― ‐ ‑ • · † ‰ ′ ″
x ≤ y ≠ z ∑∏∫ √2 ∞ → ← ⇒ ∀∃ ℝ ℵ ℏ Å Ω
₹100 €20 £5 ¥300 ₿1 ₩ ¢
a</s>b <pad> c <unk> d
<extra_id_0> red <extra_id_9> circle<extra_id_3>
＜pad＞ a ＜/s＞ ＜extra_id_5＞ red ＜unk＞
aaaa 1111 ..... ooo nnn rrrr eee ццц
< /s> <PAD> <extra_id_10> <s>
▁red▁circle a▁ ▁b ▁
the the the the the the the the the the
""".strip().split("\n")
ODD = [
    "  leading  and   trailing  ",
    "tab\tnew\nline\r\nfeed\x0b\x0cnext\x85end",
    "no\u00a0break\u202fthin\u2009hair\u200aideo\u3000zero\u200bwidth\u2060join\ufeffbom\u00adsoft",
    "one\u2028two\u2029three\u1680four\u205ffive\u180esix",
    "control\x01\x02\x1f\x7f\x80\x9f end",
    "a\u00a8b \u00af \u00b4 \u2017 \u203e",
    "\ufffd \ufffe \uffff \ue000 \U000f0000 \U0010ffff",
    "\u0130\u0131\u017f\u1e9e\u00df\u03c2\u03c3",
    "\u2126\u212a\u212b\u1e9b\u0323",
    "\ud7b0\ud7cb",
]

# Texts that come out differently, by kind.
DIFFERENT = {
    "a mark behind a character that the map replaces is dropped":
        ["\uff21\u0301 wide", "x\u00b2\u0302 squared", "\ufb01\u0307ne", "\u3000\u0301 mark",
         "\uff76\u0301"],
    "of several marks the first is composed, the others are dropped":
        ["vie\u0323\u0302t", "tie\u0302\u0301ng", "u\u0308\u0304", "\u03b1\u0313\u0301"],
    "nothing is composed in a grapheme of 6 bytes or more":
        ["\u1112\u1161\u11ab\u1100\u1173\u11af", "\uff76\uff9e\uff77\uff9e",
         "\u304b\u3099\u304d\u3099", "\u0928\u093c\u0930\u093c"],
    "nothing is composed of two graphemes": ["\uffa1\uffce"],
}

# Written where a folder has no tokenizer_config.json, and with tokens that a user added.
SPECIAL = ["<extra_id_9><extra_id_10> red", "a <extra_id_99> <extra_id_100>", "<zeta>red circle",
           "redcircle <zeta", "a</s><zeta>b"]
MARKS = ["\u2581red\u2581circle a\u2581 \u2581b \u2581", "a\u2581\u2581b", "\u2581\u2581\u2581"]


def script_letters():
    """Assigned letters, marks and digits by the first word of their names, which is the script."""
    scripts = {}
    for code in range(0x21, 0x2fa20):
        char = chr(code)
        if unicodedata.category(char)[0] in "LMN":
            scripts.setdefault(unicodedata.name(char, "?").split()[0], []).append(char)
    return {name: chars for name, chars in scripts.items() if len(chars) >= 8}


def strings(count):
    """Phrases in all normal forms, words of random letters of every script, mixtures."""
    draw = random.Random(12)
    phrases = PHRASES + ODD
    texts = list(phrases)
    scripts = script_letters()
    names = sorted(scripts)
    draw.shuffle(names)
    while len(texts) < count:
        kind = len(texts) % 4
        if kind == 0:
            form = draw.choice(["NFC", "NFD", "NFKC", "NFKD"])
            texts.append(unicodedata.normalize(form, draw.choice(phrases)).upper())
        elif kind == 1:
            texts.append("".join(draw.choice(draw.choice(phrases))
                                 for _ in range(draw.randint(1, 30))))
        else:
            chars = scripts[names[len(texts) // 2 % len(names)]]
            texts.append(" ".join("".join(draw.choice(chars) for _ in range(draw.randint(1, 7)))
                                  for _ in range(draw.randint(1, 4))))
    return texts[:count]


def model_map():
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((HERE / "spiece.model").read_bytes())
    return proto.normalizer_spec.precompiled_charsmap


def train(texts, pieces):
    """A model's bytes; T5's order of the first pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([t for t in texts if "\0" not in t and "\n" not in t] * 4),
        model_writer=written, vocab_size=pieces, model_type="unigram", character_coverage=0.98,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, hard_vocab_limit=False,
        num_threads=1)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(written.getvalue())
    proto.normalizer_spec.precompiled_charsmap = model_map()
    return proto.SerializeToString()


def load(model, folder):
    """The tokenizer of transformers that reads what it wrote, and that tokenizer.json."""
    (folder / "spiece.model").write_bytes(model)
    (folder / "tokenizer_config.json").write_text(json.dumps({"extra_ids": SENTINELS}))
    T5Tokenizer.from_pretrained(folder).save_pretrained(folder / "saved")
    saved = json.loads((folder / "saved" / "tokenizer.json").read_text())
    saved["normalizer"]["precompiled_charsmap"] = "that of spiece.model"
    return T5Tokenizer.from_pretrained(folder / "saved"), saved


def special_tokens(folder):
    """What is added to tokenizer.json, and the ids with and without it; no tokenizer_config.json."""
    (folder / "saved" / "tokenizer_config.json").unlink()
    tokenizer = T5Tokenizer.from_pretrained(folder / "saved")
    defaults = [tokenizer(text).input_ids for text in SPECIAL]
    tokenizer.add_tokens(["<zeta>", "circle"])
    tokenizer.save_pretrained(folder / "added")
    (folder / "added" / "tokenizer_config.json").unlink()
    added = json.loads((folder / "added" / "tokenizer.json").read_text())["added_tokens"]
    tokenizer = T5Tokenizer.from_pretrained(folder / "added")
    return {"texts": SPECIAL, "defaults": defaults, "added_tokens": added,
            "added": [tokenizer(text).input_ids for text in SPECIAL]}


def without_map(folder):
    """The ids where the normaliser is null."""
    path = folder / "saved" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": None}))
    tokenizer = T5Tokenizer.from_pretrained(folder / "saved")
    return {"texts": ODD + MARKS, "ids": [tokenizer(text).input_ids for text in ODD + MARKS]}


def make(pieces=1500, count=260):
    texts = strings(count)
    model = train(texts + sum(DIFFERENT.values(), []), pieces)
    whole = sentencepiece.SentencePieceProcessor(model_proto=model)
    by_grapheme = tokenizers.normalizers.Precompiled(model_map())
    plain = lambda text: text.replace("\u2581", "").replace(" ", "")  # in which the two are one
    same = [text for text in texts
            if plain(by_grapheme.normalize_str(text)) == plain(whole.normalize(text))]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, saved = load(model, pathlib.Path(folder))
        special = special_tokens(pathlib.Path(folder))
        no_map = without_map(pathlib.Path(folder))
    different = [{"kind": kind, "text": text, "transformers": tokenizer(text).input_ids,
                  "sentencepiece": whole.encode(text) + [1]}
                 for kind, examples in DIFFERENT.items() for text in examples]
    return {"tokenizer": saved, "extra_ids": SENTINELS, "left_out": len(texts) - len(same),
            "strings": same, "ids": [tokenizer(text).input_ids for text in same],
            "different": different, "special": special, "without_map": no_map}


def json_text(fields):
    """An item of a list a line."""
    row = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    rows = lambda value: ("[\n" + ",\n".join("  " + row(item) for item in value) + "]"
                          if isinstance(value, list) else row(value))
    return "{\n" + ",\n".join(f" {row(k)}: {rows(v)}" for k, v in fields.items()) + "\n}\n"


def write(path=HERE / "many_scripts.json", **sizes):
    made = make(**sizes)
    pathlib.Path(path).write_text(json_text(made))
    print("many_scripts", len(made["strings"]), "strings,", made["left_out"], "left out")


if __name__ == "__main__":
    if sys.argv[1:]:
        write(sys.argv[3], pieces=int(sys.argv[1]), count=int(sys.argv[2]))
    else:
        write()
