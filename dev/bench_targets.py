#!/usr/bin/env python3
"""Holds tuwen against the targets of its speed, start-up and memory, each beside the peers that the target names, and prints
one line of Markdown a target: what was measured, what is asked, reached or missed.

    dev/bench_targets.py MODEL.gguf [--rows image-int8,start] [--threads 2] [--photos FOLDER|FILE.tar] …

Sides have processes of their own and take turns, as in dev/bench_peers.py, whose files under --folder are shared; verdicts
are on medians, least times stand in brackets. What cannot be measured here says why. Rows (without --rows those that fit
the model):

image-f32 image-bf16 image-int8 image-int8-b1   pictures: share of the processor's peak, against the peers
large (ViT-L-14)  resnet-int8 resnet-bf16       the same for other models
avx512vnni avx2-f32 avx2-int8                   the same, tuwen and peers capped to that instruction set
captions caption                                texts of --length tokens, in batches of 32 and alone
floor                                           one caption against the rate at which its weights can be read
start                                           exec to first feature, int8 model file
memory                                          RssAnon + RssFile after both towers have run
threads                                         all threads against one, and with one core taken by another process
preprocess folder                               JPEG files of 1280 x 960 to tensors, a folder of them to features

A peak is what `tuwen bench` measures for products of that precision on the same threads. `make bench-targets` runs this in
the environment that it needs."""
import os
import pathlib
import sys
import time

import bench_peers
import target_pictures
import target_process
import target_speed
from target_lab import Lab

ROWS = {key: (lambda lab, key=key: target_speed.lines(lab, key)) for key in target_speed.SPEEDS}
ROWS |= {"floor": target_speed.floor, "start": target_process.start, "memory": target_process.memory,
         "threads": target_process.threads, "preprocess": target_pictures.preprocess, "folder": target_pictures.folder}
OTHER_MODELS = {"large", "resnet-int8", "resnet-bf16"}


def rows_for(info):
    """Those that are about this model: a ResNet, a large ViT, or what the other rows are about."""
    if info["vision"]["kind"] == "resnet":
        return ["resnet-int8", "resnet-bf16"]
    return ["large"] if info["vision"]["width"] >= 1024 else [key for key in ROWS if key not in OTHER_MODELS]


def parse():
    parser = bench_peers.arguments(__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=lambda s: s.split(","))
    parser.add_argument("--photos", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "demo" / "pictures",
                        help="what the JPEG files are mosaics of; photographs are heavier than the demo's drawings")
    parser.add_argument("--pictures", type=int, default=48, help="JPEG files in the folder")
    args = parser.parse_args()
    wrong = [key for key in args.rows or [] if key not in ROWS]
    if wrong:
        parser.error(f"no row {', '.join(wrong)}; there are {', '.join(ROWS)}")
    return args


def main():
    args = parse()
    lab = Lab(args)
    print(f"    {bench_peers.command_line('dev/bench_targets.py', args.model)}\n\n{bench_peers.describe_machine()}; "
          f"{args.threads} threads, load average {os.getloadavg()[0]:.1f} before. {lab.info['architecture']}, "
          f"{lab.info['weight_bytes'] / 1e6:.0f} MB of weights.\n\n| | measured | target | |\n|---|---|---|---|", flush=True)
    for key in args.rows or rows_for(lab.info):
        begin = time.monotonic()
        try:
            for line in ROWS[key](lab):
                print(line, flush=True)
        except RuntimeError as e:
            print(f"| {key} | none: {e} | | – |", flush=True)
        print(f"{key}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
