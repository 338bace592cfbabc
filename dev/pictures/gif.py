"""GIF, coded here: palettes of the file and of the frame, transparency, offsets, interlacing, codes of every length."""
import struct

from .common import pick_size


def lzw_codes(rng, data, bits):
    """GIF's codes of `data`; a table that is cleared early, late or never."""
    clear, acc, n_acc, out = 1 << bits, 0, 0, bytearray()
    clear_at = rng.choice((4096, 4096, 600, 5000, 1 << 30))

    def emit(code, size):
        nonlocal acc, n_acc
        acc |= code << n_acc
        n_acc += size
        while n_acc >= 8:
            out.append(acc & 255)
            acc >>= 8
            n_acc -= 8

    def fresh():
        return {bytes([i]): i for i in range(clear)}, clear + 2, bits + 1

    table, following, size = fresh()
    emit(clear, size)
    word, made = b"", 0
    for v in data:
        longer = word + bytes([v])
        if longer in table:
            word = longer
            continue
        emit(table[word], size)
        made += 1
        if following < 4096:
            table[longer] = following
            if following == 1 << size and size < 12:
                size += 1
            following += 1
        if made > clear_at or (clear_at == 4096 and following == 4096):
            if size < 12 and following == 1 << size:
                size += 1
            emit(clear, size)
            table, following, size = fresh()
            made = 0
        word = bytes([v])
    emit(table[word], size)
    if following == 1 << size and size < 12:
        size += 1
    if rng.random() < 0.9:
        emit(clear + 1, size)
    emit(0, 7)
    return bytes(out)


def make_gif(rng):
    facts = []
    w, h = pick_size(rng, 300)
    bits = rng.randint(1, 8)
    x, y = (rng.randint(0, 9), rng.randint(0, 9)) if rng.random() < 0.3 else (0, 0)
    sw, sh = (max(1, w + rng.randint(-5, 20)), max(1, h + rng.randint(-5, 20))) if rng.random() < 0.3 else (w, h)

    def palette(grey=0.2):
        n = rng.randint(1, 8) if rng.random() < 0.5 else bits
        if rng.random() < grey:
            return n - 1, b"".join(bytes([i, i, i]) for i in range(1 << n))
        return n - 1, rng.randbytes(3 << n)

    flags, table = palette() if rng.random() < 0.8 else (0, b"")
    out = rng.choice((b"GIF87a", b"GIF89a")) + struct.pack("<HHBBB", sw, sh, flags | (0x80 if table else 0), rng.randrange(256), 0)
    out += table
    if rng.random() < 0.4:
        out += b"!\xf9\x04" + bytes([rng.randrange(32), 5, 0, rng.randrange(256), 0])
    if rng.random() < 0.2:
        out += b"!\xfe\x05hello\x03abc\0"
    if rng.random() < 0.2:
        out += b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    flags, table = palette() if rng.random() < 0.4 else (0, b"")
    if table:
        facts.append("local palette")
    if (x, y, w, h) != (0, 0, sw, sh):
        facts.append("frame not the screen")
    flags |= (0x80 if table else 0) | rng.choice((0, 0x40))
    if flags & 0x40:
        facts.append("interlaced")
    out += b"," + struct.pack("<HHHHB", x, y, w, h, flags) + table
    top = 1 << bits
    if rng.random() < 0.5:
        data = bytes(rng.randrange(top) for _ in range(w * h))
    else:
        data = b"".join(bytes([rng.randrange(top)]) * rng.randint(1, 40) for _ in range(w * h // 20 + 1)).ljust(w * h, b"\0")[: w * h]
    lzw_bits = max(bits, 2) if rng.random() < 0.8 else rng.randint(bits, 8)
    codes, body = lzw_codes(rng, data, lzw_bits), b""
    step = rng.choice((255, 255, 1, 100))
    for i in range(0, len(codes), step):
        part = codes[i : i + step]
        body += bytes([len(part)]) + part
    out += bytes([lzw_bits]) + body + b"\0"
    if rng.random() < 0.2:  # a second frame
        out += b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
        facts.append("animated")
    return out + b";", facts
