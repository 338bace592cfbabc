#!/usr/bin/env python3
"""Compares `tuwen tokenize` with the original tokenizer on generated strings.

    dev/diff_wordpiece.py [--tuwen build/tuwen] [--n 100000] [--seed 1] [--every-code-point]
                          [--tables 15.0|interpreter] [--show 10]

The original is bert_tokenizer.py of the installed cn_clip package, loaded as it is. Python's own
unicodedata is of another Unicode version than libutf8proc's tables (15.0), so by default the
original runs with unicodedata2 15.0.0 in its place; `--tables interpreter` leaves Python's own, and
then strings with a code point that the two versions classify differently are counted apart.
str.lower() always uses the interpreter's tables: the only thing there that a newer version can
change is the context of a final sigma, so a capital sigma does not meet a code point that is newer
than the interpreter.

Exit status 0 when no string differs.
"""
import argparse
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import unicodedata2

SIGMA = "\u03a3"
CONTEXT = 512


def load_original(tables):
    """The module as installed, without the package around it (which wants torch and the like)."""
    package = pathlib.Path(importlib.util.find_spec("cn_clip").origin).parent
    path = package / "clip" / "bert_tokenizer.py"
    if tables != "interpreter":
        sys.modules["unicodedata"] = unicodedata2
    spec = importlib.util.spec_from_file_location("bert_tokenizer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FullTokenizer()


def original_ids(tokenizer, text, eval_quotes, context):
    if eval_quotes:  # cn_clip/eval/data.py, _preprocess_text
        text = text.lower().replace("\u201c", '"').replace("\u201d", '"')
    ids = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    return [tokenizer.vocab["[CLS]"]] + ids[: context - 2] + [tokenizer.vocab["[SEP]"]]


def tuwen_ids(tuwen, path, eval_quotes, context):
    command = [tuwen, "tokenize", "--tokenizer", "wordpiece", "--context-length", str(context),
               "--truncate", "--json", str(path)]
    if eval_quotes:
        command.insert(-2, "--eval-quotes")
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    for line in run.stdout.decode().splitlines():
        ids = json.loads(line)["ids"]
        while ids and ids[-1] == 0:
            ids.pop()
        yield ids


# ------------------------------------------------------------------------------- strings

RANGES = {
    "ascii": [(0x20, 0x7E)],
    "han": [(0x4E00, 0x9FFF)],
    "common_han": [(0x4E00, 0x5200), (0x6211, 0x6300), (0x7684, 0x7700)],
    "han_extensions": [(0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
                       (0x2B820, 0x2CEAF), (0x2CEB0, 0x2EBEF), (0x30000, 0x323AF),
                       (0xF900, 0xFAFF), (0x2F800, 0x2FA1F), (0x2E80, 0x2FDF)],
    "kana": [(0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F)],
    "latin": [(0xA1, 0x24F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)],
    "greek": [(0x370, 0x3FF), (0x1F00, 0x1FFF)],
    "cyrillic": [(0x400, 0x52F), (0x1C80, 0x1C8F), (0xA640, 0xA69F)],
    "semitic": [(0x590, 0x6FF), (0x700, 0x7FF), (0x8A0, 0x8FF), (0xFB1D, 0xFDFF)],
    "indic": [(0x900, 0xDFF), (0xA8E0, 0xA8FF), (0x11000, 0x1147F)],
    "south_east_asian": [(0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1B00, 0x1BFF)],
    "other_letters": [(0x10A0, 0x10FF), (0x13A0, 0x13FF), (0x530, 0x58F), (0xF00, 0xFFF),
                      (0x1400, 0x18AF), (0xA000, 0xA4CF), (0x10400, 0x1044F), (0x1E900, 0x1E95F)],
    "marks": [(0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF),
              (0x302A, 0x302F), (0x3099, 0x309A), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F),
              (0x1D165, 0x1D172), (0x16FF0, 0x16FF1), (0xE0100, 0xE01EF)],
    "punctuation": [(0x2010, 0x2027), (0x2030, 0x205E), (0x3001, 0x303F), (0xFF01, 0xFF0F),
                    (0xFE10, 0xFE19), (0xFE30, 0xFE6F), (0x2E00, 0x2E5D), (0x21, 0x2F)],
    "symbols": [(0x20A0, 0x20C0), (0x2100, 0x22FF), (0x2300, 0x27BF), (0x2900, 0x2BFF),
                (0x3200, 0x33FF), (0x1D400, 0x1D7FF), (0x24B6, 0x24E9), (0x1F130, 0x1F189)],
    "full_width": [(0xFF01, 0xFF5E), (0xFFE0, 0xFFE6)],
    "emoji": [(0x1F300, 0x1FAFF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0x2600, 0x26FF)],
    "controls": [(0x00, 0x1F), (0x7F, 0x9F)],
    "formats": [(0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F),
                (0x202A, 0x202E), (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFD),
                (0xE0001, 0xE007F), (0x1D173, 0x1D17A)],
    "spaces": [(0x20, 0x20), (0x09, 0x0D), (0x1C, 0x1F), (0x85, 0x85), (0xA0, 0xA0),
               (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
               (0x205F, 0x205F), (0x3000, 0x3000)],
    "private": [(0xE000, 0xF8FF), (0xF0000, 0xF00FF), (0x10FF00, 0x10FFFF)],
    "any": [(0x0, 0xD7FF), (0xE000, 0x10FFFF)],
    "basic_plane": [(0x0, 0xD7FF), (0xE000, 0xFFFF)],
}
SIGMA_PARTS = [
    "\u03a3", "\u0391", "\u03c3", "\u03c2", "\u0394\u039f", "'", ".", ":", "\xb7", "\u2019",
    "\u0301", "\u0345", "\u200b", "\u02b0", "\u2170", "\u24b6", "\u01c5", "\xaa", "1", "-", " ",
    "\u4e2d", "\x01", "\ufffd", "A", "\u0130", "\u037a", "^", "_",
]
QUOTES = ["\u201c", "\u201d", "\u2018", "\u2019", '"', "'", "\u00ab", "\u300c", "\u300d", "\uff02"]
EMOJI_PARTS = ["\u200d", "\ufe0f", "\ufe0e", "\u2640", "\u20e3", "\U000e007f"]


class Strings:
    def __init__(self, seed, pieces):
        self.random = random.Random(seed)
        self.pieces = [p[2:] if p.startswith("##") else p for p in pieces if p]

    def char(self, name):
        first, last = self.random.choice(RANGES[name])
        return chr(self.random.randint(first, last))

    def run(self, name, low=1, high=8):
        return "".join(self.char(name) for _ in range(self.random.randint(low, high)))

    def from_vocabulary(self):
        words = self.random.choices(self.pieces, k=self.random.randint(1, 12))
        return self.random.choice(["", " ", ""]).join(
            w.upper() if self.random.random() < 0.2 else w for w in words)

    def mixed(self):
        names = self.random.choices(list(RANGES), k=self.random.randint(1, 10))
        return "".join(self.run(n) + self.random.choice(["", "", " "]) for n in names)

    def sigmas(self):
        return "".join(self.random.choices(SIGMA_PARTS, k=self.random.randint(1, 16)))

    def accented(self):
        text = ""
        for _ in range(self.random.randint(1, 10)):
            base = self.random.choice(["ascii", "latin", "greek", "kana", "hangul", "indic", "han"])
            text += self.run(base, 1, 2) + self.run("marks", 0, 4)
        return text

    def emoji(self):
        return "".join(self.char("emoji") if self.random.random() < 0.6 else
                       self.random.choice(EMOJI_PARTS) for _ in range(self.random.randint(1, 12)))

    def controls(self):
        names = ["controls", "formats", "spaces", "ascii", "common_han", "latin"]
        return "".join(self.char(self.random.choice(names))
                       for _ in range(self.random.randint(1, 30)))

    def long_word(self):
        n = self.random.choice([199, 200, 201, 202, self.random.randint(100, 400)])
        name = self.random.choice(["ascii", "latin", "kana", "cyrillic", "marks", "hangul"])
        word = self.char(name) * n if self.random.random() < 0.5 else "".join(
            self.random.choice("abcdefghijklmnopqrstuvwxyz0123456789\u00e9") for _ in range(n))
        before = self.random.choice(["", "x "])
        return before + word + self.random.choice(["", " y", "\u0301", "\u4e2d"])

    def quoted(self):
        return "".join(self.random.choice(QUOTES) if self.random.random() < 0.3 else
                       self.run(self.random.choice(["ascii", "common_han", "punctuation"]), 1, 3)
                       for _ in range(self.random.randint(1, 10)))

    def sentence(self):
        return "".join(self.run(self.random.choice(["common_han"] * 5 + ["ascii", "full_width",
                                                                         "punctuation", "kana"]))
                       for _ in range(self.random.randint(1, 12)))

    def one(self):
        kinds = [self.mixed] * 5 + [
            self.from_vocabulary, self.from_vocabulary, self.sigmas, self.accented, self.accented,
            self.emoji, self.controls, self.controls, self.long_word, self.quoted, self.sentence,
            self.sentence, lambda: self.run("any", 1, 40), lambda: self.run("basic_plane", 1, 40),
            lambda: self.run("han_extensions", 1, 20), lambda: self.run("han", 1, 60)]
        text = self.random.choice(kinds)()
        return text + self.random.choice(kinds)() if self.random.random() < 0.2 else text


def every_code_point(newer):
    """Each code point within, at the start of and at the end of a word, and beside a sigma."""
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            continue
        ch = chr(c)
        text = f"a{ch}a {ch}a a{ch} {ch}\u0301{ch}"
        yield text if ch in newer else text + f" \u0391{SIGMA}{ch}\u0391 A{ch}{SIGMA} {ch}{SIGMA}"


def newer_code_points():
    """What is assigned in 15.0 and not in the interpreter's tables, or classified otherwise."""
    return {chr(c) for c in range(0x110000)
            if unicodedata.category(chr(c)) != unicodedata2.category(chr(c))
            or unicodedata.normalize("NFD", chr(c)) != unicodedata2.normalize("NFD", chr(c))}


# ---------------------------------------------------------------------------- comparison

def compare(tuwen, tokenizer, texts, newer, eval_quotes, context, show):
    """Returns (differences, differences explained by tables of another version)."""
    n_different = n_newer = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        with open(path, "w", encoding="utf-8", newline="\n") as out:
            for text in texts:
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        n_rows = 0
        for text, got in zip(texts, tuwen_ids(tuwen, path, eval_quotes, context)):
            n_rows += 1
            expected = original_ids(tokenizer, text, eval_quotes, context)
            if got == expected:
                continue
            if newer and not newer.isdisjoint(text):
                n_newer += 1
                continue
            n_different += 1
            if n_different <= show:
                print(f"differs: {ascii(text)}\n  expected {expected}\n  got      {got}")
    if n_rows != len(texts):
        raise SystemExit(f"{len(texts)} strings in, {n_rows} rows out")
    return n_different, n_newer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--n", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", choices=["15.0", "interpreter"], default="15.0")
    parser.add_argument("--every-code-point", action="store_true")
    parser.add_argument("--show", type=int, default=10, help="differences to print in full")
    options = parser.parse_args()

    newer = newer_code_points()
    tokenizer = load_original(options.tables)
    used = "15.0.0 (unicodedata2)" if options.tables == "15.0" else unicodedata.unidata_version
    print(f"original: Unicode {used}, str.lower() {unicodedata.unidata_version}; "
          f"{len(newer)} code points differ between {unicodedata.unidata_version} and 15.0.0")

    strings = Strings(options.seed, list(tokenizer.vocab))
    texts = [strings.one() for _ in range(options.n)]
    n_replaced = 0
    for i, text in enumerate(texts):
        if SIGMA in text and not newer.isdisjoint(text):
            texts[i] = text.replace(SIGMA, "\u03c3")
            n_replaced += 1
    print(f"{len(texts)} strings, seed {options.seed}, {sum(map(len, texts))} code points; capital "
          f"sigma replaced in {n_replaced} beside a newer code point")

    explained = newer if options.tables == "interpreter" else set()
    batches = [("", texts)]
    if options.every_code_point:
        batches.append(("every code point, ", list(every_code_point(newer))))
    total = 0
    for label, batch in batches:
        for eval_quotes, context in [(False, CONTEXT), (True, CONTEXT), (False, 52)]:
            n, n_newer = compare(options.tuwen, tokenizer, batch, explained, eval_quotes, context,
                                 options.show)
            total += n
            print(f"{label}context {context}{', evaluation quotes' if eval_quotes else ''}: "
                  f"{len(batch)} strings, {n} differ" +
                  (f", {n_newer} more differ for a newer code point" if explained else ""))
    print("PASS" if total == 0 else "FAIL")
    return 0 if total == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
