#!/usr/bin/env python3
"""Writes tests/data/preprocess/expected.json: the expected results of preprocessing, in short.

    python dev/make_preprocess_table.py GOLDENS

GOLDENS is the folder with preprocess/preprocess_goldens.json (205 cases by Pillow 9.4.0) and
preprocess_pillow/VERSION.json (the cases in which a later version differs). Only pictures of
the formats below are taken. Of each case: SHA-256 of the u8 [R, R, 3] and of the f32 [3, R, R] result, and
of the u8 result for every resampler that differs from "classic".
"""
import json
import os
import sys

RECIPES = {"chinese_clip": "chinese-clip", "openai": "openai"}
FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "PPM": "pnm", "GIF": "gif", "TIFF": "tiff"}
RESAMPLERS = {"12.1.1": "12.1", "12.2.0": "12.2", "13.0.0": "13"}


def main():
    goldens = sys.argv[1]
    with open(os.path.join(goldens, "preprocess/preprocess_goldens.json")) as f:
        images = json.load(f)["images"]
    differing = {}
    for version, resampler in RESAMPLERS.items():
        with open(os.path.join(goldens, "preprocess_pillow", version + ".json")) as f:
            differing[resampler] = json.load(f)["different"]
    pictures = []
    for image in images:
        if image["format"] not in FORMATS:
            continue
        cases = []
        for setting, value in image.items():
            if not isinstance(value, dict):
                continue
            name, size = setting.rsplit("_", 1)
            case = {"recipe": RECIPES[name], "size": int(size)}
            case["u8"], case["f32"] = value["u8_hwc_sha256"], value["f32_chw_sha256"]
            for resampler, hashes in differing.items():
                other = hashes.get(image["file"] + " " + setting)
                if other:
                    case[resampler] = other
            cases.append(case)
        width, height = image["size_wh"]
        mode = {"I": "I;16"}.get(image["mode"], image["mode"])
        picture = {"file": os.path.basename(image["file"]), "format": FORMATS[image["format"]], "mode": mode}
        pictures.append({**picture, "width": width, "height": height, "cases": cases})
    out = os.path.join(os.path.dirname(__file__), "../tests/data/preprocess/expected.json")
    with open(out, "w") as f:
        f.write(json.dumps({"pictures": pictures}, indent=0).replace('\n"', ' "').replace("\n}", "}") + "\n")


if __name__ == "__main__":
    main()
