"""Instructions a multiply-add in the inner loop of a kernel, counted in its object file:

    inner_loops.py [--show] OBJDUMP OBJECT INSTRUCTION MULTIPLY_ADDS

INSTRUCTION is a pattern of what multiplies ("fmla", "sdot"), MULTIPLY_ADDS what one of them does. Of all
innermost loops (from the target of a branch backwards to the branch, none inside) that one is shown which has most of them.
"""
import re
import subprocess
import sys


def loops(text):
    code, places, last = [], {}, -1
    for line in text.splitlines():
        at = re.match(r"\s*([0-9a-f]+):\t(.*)", line)
        if not at:
            continue
        places[int(at[1], 16)] = len(code)
        code.append(at[2].split("//")[0].strip())
        to = re.match(r"(?:b\.\w+|cbn?z\s+\w+,|j\w+)\s+([0-9a-f]+)\b", code[-1])
        start = places.get(int(to[1], 16)) if to else None
        if start is not None and start > last:
            last = len(code) - 1
            yield code[start:]


def number(body, word):
    return sum(bool(re.match(word, i)) for i in body)


def main():
    show = "--show" in sys.argv
    objdump, path, word, each = [a for a in sys.argv[1:] if a != "--show"]
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    body = max(loops(text), key=lambda b: number(b, word), default=[])
    n = number(body, word)
    if not n:
        sys.exit(f"{path}: no loop has {word}")
    if show:
        print("\n".join(body))
    print(f"{len(body)} instructions, {n} x {each} multiply-adds: {len(body) / (n * float(each)):.3f} an instruction each")


if __name__ == "__main__":
    main()
