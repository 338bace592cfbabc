# preprocess
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model

run preprocess --recipe chinese-clip --dtype u8 -o one.npy "$pictures/red-circle.png"
check "a picture" status_is 0
check "one u8 picture is R x R x 3" [ "$(npy_shape one.npy)" = "224, 224, 3" ]
run preprocess --size 32 --dtype u8 -o two.npy "$pictures/red-circle.png" "$pictures/green-triangle.jpg"
check "several are N x R x R x 3" [ "$(npy_shape two.npy)" = "2, 32, 32, 3" ]
run preprocess -m model.gguf -o one32.npy "$pictures/red-circle.png"
check "f32 is 3 x R x R, R the model's" [ "$(npy_shape one32.npy)" = "3, 32, 32" ]
run preprocess --recipe chinese-clip --size 32 -o same.npy "$pictures/red-circle.png"
check "a recipe by name is the model's" cmp -s one32.npy same.npy
run preprocess -m model.gguf -t 1 -o all1.npy "$pictures"
run preprocess -m model.gguf -t 3 -o all3.npy "$pictures"
check "any number of threads" cmp -s all1.npy all3.npy
check "a folder" [ "$(npy_shape all1.npy)" = "8, 3, 32, 32" ]
mkdir formats
for name in a.jpg b.jpeg c.png d.webp e.bmp f.GIF g.ppm h.pgm i.pbm j.PNM k.tif l.tiff o.HEIC p.heif q.hif r.avif m.txt n.tar.gz; do
    printf 'P2 2 1 255 7 9\n' >"formats/$name"
done
run preprocess -m model.gguf -o formats.npy formats
check "a folder's pictures are known by their extensions" [ "$(npy_shape formats.npy)" = "16, 3, 32, 32" ]
run preprocess --size 32 --resize-mode shortest --crop-rounding floor --resampler 13 --rgb-first --interpolation bilinear \
    --mean 0,0,0 --std 1,1,1 -o o.npy "$pictures/red-circle.png" --json
check "all of the recipe's options" prints '"resize_mode": "shortest", "interpolation": "bilinear", "resampler": "13", "rgb": "first", "crop_rounding": "floor", "mean": \[0, 0, 0\]'
"$TUWEN" preprocess -m model.gguf -o stdin.npy - <"$pictures/red-circle.png" >out 2>err
check "a picture from standard input" cmp -s one32.npy stdin.npy
"$TUWEN" preprocess -m model.gguf -o - "$pictures/red-circle.png" >stdout.npy 2>err
check "to standard output" cmp -s one32.npy stdout.npy
ls "$pictures"/*.png >list
run preprocess -m model.gguf -o list.npy --images list
check "a list" [ "$(npy_shape list.npy)" = "$(wc -l <list), 3, 32, 32" ]

run preprocess --size 32 -o whole.npy "$pictures/green-triangle.jpg"
run preprocess --size 32 --fast-decode -o fraction.npy "$pictures/green-triangle.jpg" --json
check "a large JPEG at a fraction: other pixels, near them, and said so" \
    both '! cmp -s whole.npy fraction.npy && npy_close whole.npy fraction.npy 0.5' 'prints "\"fast_decode\": true"'
run preprocess --size 100 -o whole.npy "$pictures/green-triangle.jpg"
run preprocess --size 100 --fast-decode -o fraction.npy "$pictures/green-triangle.jpg"
check "a small one is as ever" cmp -s whole.npy fraction.npy
run preprocess --size 32 --fast-decode -o fraction.npy "$pictures/red-circle.png"
check "and what is no JPEG" cmp -s same.npy fraction.npy

# bad pictures
: >empty.png
printf 'no picture' >text.png
head -c 300 "$pictures/red-circle.png" >cut.png
refused "an empty file" 1 "empty.png: " x.npy preprocess --size 32 -o x.npy empty.png
refused "no picture" 1 "text.png: " x.npy preprocess --size 32 -o x.npy text.png
refused "a truncated picture" 1 "cut.png: " x.npy preprocess --size 32 -o x.npy cut.png
refused "a missing picture" 1 "missing.png: No such file" x.npy preprocess --size 32 -o x.npy missing.png
# A PNG whose header says 65535 x 65535: refused before anything is allocated.
{
    head -c 16 "$pictures/red-circle.png"
    printf '\000\000\377\377\000\000\377\377\010\002\000\000\000'
    printf '\000\000\000\000'
    tail -c +34 "$pictures/red-circle.png"
} >bomb.png
refused "a picture that lies about its size" 1 "bomb.png: " x.npy preprocess --size 32 -o x.npy bomb.png
refused "--max-pixels" 1 "pixels" x.npy preprocess --max-pixels 100 -o x.npy "$pictures/red-circle.png"
refused "--max-bytes" 1 "limit" x.npy preprocess --max-bytes 100 -o x.npy "$pictures/red-circle.png"
run preprocess --size 32 -o some.npy "$pictures/red-circle.png" cut.png --errors errors.jsonl
check "some skipped is status 3" status_is 3
check "the skipped one is named" says "skipped cut.png: "
check "and in the file" grep -q '^{"index": 1, "input": "cut.png", "status": "format", "reason": ".*"}$' errors.jsonl
check "the rows stay" [ "$(npy_shape some.npy)" = "2, 3, 32, 32" ]
cp "$TUWEN_SOURCE/tests/data/heif/rgb.heic" "$TUWEN_SOURCE/tests/data/heif/rgb.avif" .
TUWEN_LIBHEIF=/nowhere/libheif.so TUWEN_LIBAVIF=/nowhere/libavif.so "$TUWEN" preprocess --size 32 -o some.npy \
    "$pictures/red-circle.png" rgb.heic rgb.avif >out 2>err
status=$?
check "without libheif and libavif the rest goes on" both 'status_is 3' '[ "$(npy_shape some.npy)" = "3, 3, 32, 32" ]'
check "what HEIC needs is named" says "skipped rgb.heic: HEIC needs libheif 1.x (/nowhere/libheif.so), which is not installed (Debian's package libheif1)$"
check "what AVIF needs is named" says "skipped rgb.avif: AVIF needs libavif 0.11 or 1.x (/nowhere/libavif.so), which is not installed (Debian's package libavif16 or libavif15)$"
run preprocess --size 32 -o x.npy cut.png empty.png
check "all skipped is a failure" both 'status_is 1' 'absent x.npy'

run preprocess --size 32 "$pictures/red-circle.png"
check "no output" fails_saying 2 "no output"
run preprocess --size 32 -o x.npy
check "no picture" fails_saying 2 "no pictures"
run preprocess --size 0 -o x.npy a.png
check "a size of 0" fails_saying 2 "1..4096"
run preprocess --recipe nonsense -o x.npy a.png
check "a recipe nobody knows" fails_saying 2 "nonsense"
run preprocess --rgb-first --rgb-after -o x.npy a.png
check "two orders" fails_saying 2 "exclude each other"
run preprocess --std 0,1,1 -o x.npy a.png
check "division by zero" fails_saying 2 "std"
run preprocess --size 32 -o /dev/full "$pictures"
check "disk full" both 'status_is 1' 'says "No space left"'
# one file a picture
run preprocess --recipe openai --size 32 --npy-path each --src_path "$pictures"
check "--npy-path: a file each" [ "$(find each -name '*.npy' | wc -l)" -eq "$(find "$pictures" -type f | wc -l)" ]
run preprocess --recipe openai --size 32 "$pictures/red-circle.png" -o alone.npy
check "with a leading axis" [ "$(npy_shape each/red-circle.npy)" = "1, 3, 32, 32" ]
check "and the same pixels" npy_close each/red-circle.npy alone.npy 0
mkdir same && cp "$pictures/red-circle.png" same/a.png && cp "$pictures/red-circle.png" same/a.jpg
refused "two pictures of one name" 2 "others/a.npy: two pictures of this name" others/a.npy preprocess --npy-path others same
refused "-o and --npy-path" 2 "exclude each other" x.npy preprocess --npy-path others -o x.npy same
refused "a folder that cannot be made" 1 "nowhere/x: No such file" x.npy preprocess --npy-path nowhere/x "$pictures/red-circle.png"
head -c 300 "$pictures/red-circle.png" >same/b.png && rm same/a.jpg
run preprocess --npy-path others same
check "what cannot be read has no file" both 'status_is 3' '[ -s others/a.npy ] && absent others/b.npy'
finish
