#!/usr/bin/env python3
"""Compares `tuwen tokenize --tokenizer bpe|open-clip` with the originals on generated strings.

    dev/diff_bpe.py [--tuwen build/tuwen] [--n 100000] [--seed 1] [--every-code-point] [--show 10]
    dev/diff_bpe.py --goldens tests/data/text/bpe_repair_goldens.json --n 400

The original is tokenizer.py of the installed open_clip_torch package, loaded as it is but without
the package around it (torch is not needed for encode()), with the installed ftfy and regex. OpenAI's
tokenizer is the same class with that one's clean-up and special strings, which is all that differs.

libutf8proc's tables are of Unicode 15.0, so ftfy runs with unicodedata2 15.0.0 in the place of
Python's own unicodedata, and regex should be 2023.6.3, which is of 15.0 too. With another regex, and
for str.lower(), which is always the interpreter's, strings with a code point that the versions
classify differently are counted apart. NUL is in no string, for the command does not pass it on.

Exit status 0 when no other string differs.
"""
import argparse
import html
import importlib.util
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import types
import unicodedata

import ftfy
import regex
import unicodedata2

from diff_wordpiece import SIGMA, Strings

CONTEXT = 512
MOST = 512 - 2


def load_original():
    torch = types.ModuleType("torch")
    torch.Tensor = torch.LongTensor = object
    sys.modules.setdefault("torch", torch)
    sys.modules.setdefault("numpy", types.ModuleType("numpy"))
    package = pathlib.Path(importlib.util.find_spec("open_clip").origin).parent
    spec = importlib.util.spec_from_file_location("tokenizer", package / "tokenizer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def openai_clean(text):
    """clip/simple_tokenizer.py: basic_clean, whitespace_clean, lower."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return regex.sub(r"\s+", " ", text).strip().lower()


def openai_tokenizer(module):
    """The class of open_clip is OpenAI's with other special strings."""
    tokenizer = module.SimpleTokenizer()
    specials = ["<|startoftext|>", "<|endoftext|>"]
    for old, new in zip(["<start_of_text>", "<end_of_text>"], specials):
        tokenizer.encoder[new] = tokenizer.encoder.pop(old)
    tokenizer.cache = {s: s for s in specials}
    tokenizer.pat = regex.compile(
        r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|"""
        r"""[^\s\p{L}\p{N}]+""", regex.IGNORECASE)
    tokenizer.clean_fn = openai_clean
    return tokenizer


def original_ids(tokenizer, text):
    try:
        return [49406] + tokenizer.encode(text)[:MOST] + [49407]
    except ValueError as error:  # int() of more than 4300 digits
        return str(error)


def tuwen_rows(tuwen, path, options):
    run = subprocess.run([tuwen, "tokenize", *options, "--context-length", str(CONTEXT),
                          "--truncate", "--json", str(path)], stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["ids"] for line in run.stdout.decode().splitlines()]


# ------------------------------------------------------------------------------- strings

WORDS = """a photo of the cat dog it's they're we've i'm you'll he'd don't naïve café déjà vu Größe
Straße señor garçon Łódź Škoda Ångström œuvre ﬁn ﬂuﬃeﬆ ĳs ŉ Ǆ Привет мир Ελλάδα Ωμέγα κόσμος ΟΔΟΣ
日本語 中文 한국어 العربية עברית हिन्दी ไทย “quoted” ‘single’ „low“ «guillemets» … – — • ™ © ® € £ ¥ ½ ²
× ÷ ° § ¶ � 😀 👍🏽 👩‍👩‍👧 🇩🇪 √ ≤ ≥ ﾊﾝｶｸ Ｆｕｌｌ　Ｗｉｄｔｈ ＡＢＣ１２３ 4000 1,234.56 50% C++ http://a.b/c?d=e&f=g <b>bold</b>
<|startoftext|> <|endoftext|> <start_of_text> <end_of_text> <|STARTOFTEXT|> 'ſ 'S à la mode voilà İstanbul ß ſt
\xa0 \u2028 \u200b \ufeff \x85 \x1b[31mred\x1b[0m \r\n \x07 \x00""".split(" ")
ENCODINGS = ["latin-1", "windows-1252", "sloppy-windows-1252", "sloppy-windows-1251",
             "sloppy-windows-1250", "sloppy-windows-1253", "sloppy-windows-1254",
             "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437", "cp850", "koi8-r", "gbk",
             "shift-jis", "utf-16-le"]


class Texts(Strings):
    def __init__(self, seed, pieces):
        super().__init__(seed, pieces)
        from html.entities import html5
        self.entities = sorted(html5)
        self.upper = [n[1:] for n in sorted(ftfy.chardata.HTML_ENTITIES)]
        # What mojibake is made of, by itself: the sets of the heuristic meet in all orders.
        self.suspects = sorted({c for name in ENCODINGS[:11]
                                for c in bytes(range(0x80, 0x100)).decode(name, "replace")})

    def words(self, n=12):
        return self.random.choice([" ", " ", " ", "", "\n"]).join(
            self.random.choices(WORDS, k=self.random.randint(1, n)))

    def garble(self, text):
        """Encodes as UTF-8, decodes as something else, once to three times."""
        for _ in range(self.random.choice([1, 1, 1, 1, 2, 3])):
            encoding = self.random.choice(ENCODINGS[:11] * 4 + ENCODINGS)
            text = text.encode("utf-8", "surrogatepass").decode(encoding, "replace")
        return text

    def mojibake(self):
        text = self.garble(self.words() if self.random.random() < 0.7 else self.mixed())
        how = self.random.random()
        if how < 0.15:
            text = text.replace("\xa0", " ")
        elif how < 0.25:
            text = text.replace("\ufffd", "?")
        elif how < 0.35:
            text = "".join(c for c in text if self.random.random() > 0.05)
        elif how < 0.5:
            text = self.words(4) + " " + text + " " + self.words(4)
        elif how < 0.55:
            text = text.upper() if how < 0.52 else text.lower()
        return text

    def cesu(self):
        """UTF-16 surrogates each as UTF-8, and NUL as C0 80."""
        out = b""
        for c in self.words() + self.run("emoji"):
            units = c.encode("utf-16-be")
            out += b"".join(chr(units[i] << 8 | units[i + 1]).encode("utf-8", "surrogatepass")
                            for i in range(0, len(units), 2)) if c != "\0" else b"\xc0\x80"
        return out.decode(self.random.choice(ENCODINGS[:8]), "replace")

    def inconsistent(self):
        return "".join(self.garble(self.random.choice(WORDS)) if self.random.random() < 0.5 else
                       self.random.choice(WORDS + [" "]) for _ in range(self.random.randint(2, 8)))

    def suspicious(self):
        return "".join(self.random.choice(self.suspects) if self.random.random() < 0.6 else
                       self.random.choice("abz AZ 09.,?!_") for _ in range(self.random.randint(1, 12)))

    def entity(self):
        kind = self.random.randint(0, 7)
        if kind <= 1:
            return "&" + self.random.choice(self.entities)
        if kind == 2:
            return "&" + self.random.choice(self.upper)
        number = self.random.choice([
            self.random.randint(0, 0x180), self.random.randint(0, 0xFFFF),
            self.random.randint(0, 0x120000), self.random.choice([0, 0xD800, 0xFFFE, 0xFDD0, 59, 38,
                                                                 0x1FFFF, 10 ** 12])])
        text = self.random.choice([f"&#{number}", f"&#x{number:x}", f"&#X{number:X}", f"&#0{number}"])
        if kind == 3:
            return "&amp;" + text[1:] + ";"
        if kind == 4:
            return self.random.choice(["&", "&&", "&#", "&#x", "&#;", "&;", "&amp;amp;lt;", "&amp",
                                       "&ampamp;", "&notit;", "&notin", "&lt", "&QUOT", "&#x26;amp;"])
        if kind == 5:
            return "&" + self.random.choice(self.entities).rstrip(";")
        return text + self.random.choice([";", ";", "", " ", "a"])

    def markup(self):
        return "".join(self.entity() if self.random.random() < 0.5 else
                       self.random.choice(WORDS + [" ", "=", ";", "<"])
                       for _ in range(self.random.randint(1, 10)))

    def widths(self):
        return "".join(chr(self.random.randint(0xFF00, 0xFFEF)) if self.random.random() < 0.7 else
                       self.random.choice(["\u3000", "a", "\u3099", "\u309a"])
                       for _ in range(self.random.randint(1, 15)))

    def one(self):
        kinds = [self.words, self.words, self.mojibake, self.mojibake, self.mojibake, self.cesu,
                 self.inconsistent, self.suspicious, self.suspicious, self.markup, self.markup,
                 self.widths, super().one, super().one, super().one, super().one]
        text = self.random.choice(kinds)()
        if self.random.random() < 0.1:
            text += self.random.choice(["\n", "\r\n", "\r", "\u2028", " "]) + self.random.choice(kinds)()
        return "".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff")


def newer_code_points():
    """(what regex does not classify as Unicode 15.0 does, what the interpreter does not)."""
    names = {"L": regex.compile(r"\p{L}"), "N": regex.compile(r"\p{N}")}
    characters = [chr(c) for c in range(0x110000)]
    by_regex = {ch for ch in characters if any(
        (unicodedata2.category(ch)[0] == k) != bool(names[k].match(ch)) for k in names)}
    by_python = {ch for ch in characters if unicodedata2.category(ch) != unicodedata.category(ch)}
    return by_regex, by_python


def every_code_point():
    for c in range(0x110000):
        if c != 0 and not 0xD800 <= c <= 0xDFFF:
            yield f"a{chr(c)}b {chr(c)}{chr(c)} A{chr(c)}\u0301 \u0391\u03a3{chr(c)} '{chr(c)}"


def is_explained(text, newer):
    """Also by what a repair makes of it: entities and mojibake of newer code points."""
    by_regex, by_python = newer
    text += html.unescape(html.unescape(ftfy.fix_text(text)))
    return not by_regex.isdisjoint(text) or (SIGMA in text and not by_python.isdisjoint(text))


def compare(tuwen, tokenizer, label, options, texts, newer, show):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        with open(path, "w", encoding="utf-8", newline="\n") as out:
            for text in texts:
                out.write(json.dumps({"text": text}) + "\n")
        begin = time.monotonic()
        rows = tuwen_rows(tuwen, path, options)
        seconds = time.monotonic() - begin
    if len(rows) != len(texts):
        raise SystemExit(f"{len(texts)} strings in, {len(rows)} rows out")
    n_different = n_newer = 0
    begin = time.monotonic()
    for text, got in zip(texts, rows):
        expected = original_ids(tokenizer, text)
        if got == expected:
            continue
        if is_explained(text, newer):
            n_newer += 1
            continue
        n_different += 1
        if n_different <= show:
            print(f"differs: {ascii(text)}\n  cleaned  {ascii(tokenizer.clean_fn(text))}\n"
                  f"  expected {expected}\n  got      {got}")
    print(f"{label}: {len(texts)} strings, {n_different} differ, {n_newer} more for a newer code "
          f"point; {seconds:.1f} s, the original {time.monotonic() - begin:.1f} s", flush=True)
    return n_different


def write_goldens(path, openai, texts, newer):
    """What the originals make of texts that every version of Unicode since 14 reads alike."""
    cases = []
    for text in texts:
        if not is_explained(text, newer) and len(text) < 120:
            cases.append({"text": text, "cleaned": openai.clean_fn(text),
                          "ids": original_ids(openai, text)})
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"source": f"dev/diff_bpe.py: OpenAI's tokenizer with ftfy {ftfy.__version__}",
                   "cases": cases}, out, indent=0)
        out.write("\n")
    print(f"{len(cases)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--n", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-code-point", action="store_true")
    parser.add_argument("--show", type=int, default=10, help="differences to print in full")
    parser.add_argument("--goldens", help="write cases for the unit tests, compare nothing")
    options = parser.parse_args()
    module = load_original()
    print(f"Python {sys.version.split()[0]} (Unicode {unicodedata.unidata_version}), ftfy "
          f"{ftfy.__version__}, regex {regex.__version__}")
    ftfy.unicodedata = unicodedata2
    newer = newer_code_points()
    openai = openai_tokenizer(module)
    texts = Texts(options.seed, [re.sub("</w>$", "", t) for t in openai.encoder])
    texts = [texts.one() for _ in range(options.n)]
    if options.goldens:
        write_goldens(options.goldens, openai, texts, newer)
        return 0
    changed = sum(ftfy.fix_text(t) != t for t in texts)
    print(f"{len(texts)} strings, seed {options.seed}, {sum(map(len, texts))} code points; ftfy "
          f"repairs {changed}; regex differs from Unicode 15.0 in {len(newer[0])} code points, "
          f"Python in {len(newer[1])}")
    batches = [("bpe", openai, ["--tokenizer", "bpe"])]
    for clean in ["lower", "whitespace", "canonicalize"]:
        batches.append((f"open-clip, {clean}", module.SimpleTokenizer(clean=clean),
                        ["--tokenizer", "open-clip", "--clean", clean]))
    total = 0
    for label, tokenizer, arguments in batches:
        total += compare(options.tuwen, tokenizer, label, arguments, texts, newer, options.show)
    if options.every_code_point:
        total += compare(options.tuwen, openai, "every code point, bpe", batches[0][2],
                         list(every_code_point()), newer, options.show)
    print("PASS" if total == 0 else "FAIL")
    return 0 if total == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
