"""Makes tests/data/retrieval (a data set in Chinese-CLIP's layout, of the demo's own pictures) and the corpus of
tests/fuzz/lmdb, with liblmdb. Usage: make_retrieval_set.py (from the root of the sources)."""
import base64
import json
import os
import shutil
import tempfile

import lmdb

OUT, CORPUS, PICTURES = "tests/data/retrieval", "tests/fuzz/lmdb/corpus", "demo/pictures"
IMAGES = {1000002: "red-circle.png", 27: "orange-square.png", 3000000001: "black-cross.png", 999: "green-triangle.jpg"}
TEXTS = [(8428, "红色的圆", [1000002]), (248816, "“绿色”三角形 GREEN", [999, 27]), (7, "黑色的叉", [3000000001]), (8, "没有", [])]


def write(path, records):
    """One transaction a record, as a data set that grew: old pages are left in the file."""
    with tempfile.TemporaryDirectory() as work:
        env = lmdb.open(work, map_size=1 << 24)
        for key, value in records:
            with env.begin(write=True) as txn:
                txn.put(key, value)
        env.close()
        shutil.copyfile(os.path.join(work, "data.mdb"), path)


def bulk(path, records, delete=()):
    with tempfile.TemporaryDirectory() as work:
        env = lmdb.open(work, map_size=1 << 24)
        with env.begin(write=True) as txn:
            for key, value in records:
                txn.put(key, value)
        if delete:
            with env.begin(write=True) as txn:
                for key in delete:
                    txn.delete(key)
        env.close()
        shutil.copyfile(os.path.join(work, "data.mdb"), path)


def main():
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(CORPUS, exist_ok=True)
    encoded = {i: base64.b64encode(open(f"{PICTURES}/{name}", "rb").read()) for i, name in IMAGES.items()}
    with open(f"{OUT}/valid_imgs.tsv", "wb") as f:
        for i, value in encoded.items():
            f.write(b"%d\t%s\n" % (i, value))
    with open(f"{OUT}/valid_texts.jsonl", "w", encoding="utf-8") as f:
        for text_id, text, ids in TEXTS:
            f.write(json.dumps({"text_id": text_id, "text": text, "image_ids": ids}, ensure_ascii=False) + "\n")
    folder = f"{OUT}/lmdb/valid/imgs"
    os.makedirs(folder, exist_ok=True)
    bulk(f"{folder}/data.mdb", [(b"%d" % i, value) for i, value in encoded.items()] + [(b"num_images", b"%d" % len(encoded))])

    bulk(f"{CORPUS}/empty", [])
    bulk(f"{CORPUS}/small", [(b"%d" % i, b"v" * i) for i in range(5)] + [(b"num_images", b"5")])
    bulk(f"{CORPUS}/branches", [(b"%03d" % i, b"value %d" % i * 20) for i in range(100)])
    bulk(f"{CORPUS}/overflow", [(b"1", b"x" * 5000), (b"22", b"y" * 3000), (b"3", b"")])
    bulk(f"{CORPUS}/deleted", [(b"%d" % i, b"v" * 50) for i in range(60)], [b"%d" % i for i in range(0, 60, 2)])
    write(f"{CORPUS}/grown", [(b"%d" % i, b"w" * 400) for i in range(12)])


main()
