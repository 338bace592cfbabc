#!/usr/bin/env python3
"""Draws the demo's pictures: one coloured shape each, on different backgrounds, in different sizes
and formats. usage: draw_demo_pictures.py OUT_FOLDER   (needs Pillow; same output every time)"""
import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SCALE = 4  # drawn larger and reduced, for smooth edges


def polygon(points):
    return [(math.sin(2 * math.pi * i / points), -math.cos(2 * math.pi * i / points)) for i in range(points)]


def star():
    return [(s * x, s * y) for i, (x, y) in enumerate(polygon(10)) for s in [1.0 if i % 2 == 0 else 0.42]]


def heart():
    angles = [2 * math.pi * i / 90 for i in range(90)]
    return [(0.94 * math.sin(a) ** 3,
             -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 17)
            for a in angles]


SHAPES = {
    "circle": polygon(96),
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": polygon(3),
    "star": star(),
    "heart": heart(),
    "diamond": [(0, -1), (0.62, 0), (0, 1), (-0.62, 0)],
    "cross": [(-.33, -1), (.33, -1), (.33, -.33), (1, -.33), (1, .33), (.33, .33),
              (.33, 1), (-.33, 1), (-.33, .33), (-1, .33), (-1, -.33), (-.33, -.33)],
    "ring": polygon(96),
}

# file, shape, colour, background (two colours of a vertical gradient), size, centre and radius as
# fractions of the shorter side, turn in degrees
PICTURES = [
    ("red-circle.png", "circle", (222, 36, 32), ((250, 250, 250), (232, 236, 240)), (320, 240), (.50, .50, .34), 0),
    ("blue-star.png", "star", (38, 78, 212), ((250, 246, 235), (240, 240, 240)), (256, 256), (.52, .52, .38), 8),
    ("green-triangle.jpg", "triangle", (40, 158, 62), ((240, 240, 240), (255, 255, 255)), (300, 400), (.50, .66, .36), 0),
    ("yellow-heart.png", "heart", (246, 220, 38), ((28, 30, 40), (20, 20, 20)), (240, 240), (.50, .52, .36), 0),
    ("purple-diamond.jpg", "diamond", (130, 50, 172), ((255, 255, 255), (225, 225, 235)), (512, 384), (.60, .50, .40), 0),
    ("black-cross.png", "cross", (14, 14, 16), ((200, 220, 240), (220, 232, 244)), (200, 200), (.50, .50, .33), 6),
    ("orange-square.png", "square", (246, 140, 20), ((240, 240, 240), (250, 250, 250)), (160, 120), (.62, .52, .36), 5),
    ("粉色圆环.png", "ring", (250, 138, 190), ((20, 22, 24), (40, 40, 48)), (280, 280), (.50, .48, .34), 0),
]


def draw(shape, colour, background, size, place, turn, rng):
    w, h = size[0] * SCALE, size[1] * SCALE
    top, bottom = background
    column = Image.new("RGB", (1, h))
    column.putdata([tuple(round(a + (b - a) * y / (h - 1)) for a, b in zip(top, bottom)) for y in range(h)])
    picture = column.resize((w, h))
    side = min(w, h)
    cx, cy, r = place[0] * w, place[1] * h, place[2] * side
    t = math.radians(turn)
    points = [(cx + r * (x * math.cos(t) - y * math.sin(t)), cy + r * (x * math.sin(t) + y * math.cos(t)))
              for x, y in SHAPES[shape]]
    pen = ImageDraw.Draw(picture)
    if shape == "ring":
        pen.line(points + points[:2], fill=colour, width=int(r * 0.32), joint="curve")
    else:
        pen.polygon(points, fill=colour)
    return picture.resize(size, Image.BICUBIC).filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.5)))


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20)
    for name, shape, colour, background, size, place, turn in PICTURES:
        picture = draw(shape, colour, background, size, place, turn, rng)
        options = {"quality": 90} if name.endswith(".jpg") else {"optimize": True}
        picture.save(out / name, **options)
        print(out / name, picture.size)


if __name__ == "__main__":
    main()
