#!/usr/bin/env python3
"""Compares `tuwen eval recall` with Chinese-CLIP's evaluation.py and evaluation_tr.py on generated annotations and
predictions, most of them wrong in some way: the result file and what is printed must be equal to the byte.

usage: python3 dev/diff_recall.py TUWEN FOLDER_OF_THE_SCRIPTS [SEED [ROUNDS]]     (runs in a folder of its own)
"""
import json
import os
import random
import subprocess
import sys
import tempfile

TUWEN, SCRIPTS = (os.path.abspath(p) for p in sys.argv[1:3])
ODD = ['1.5', '1e3', 'null', 'false', '"x"', '"猫\\n"', '[1,2]', '{"a": "b\'c"}', 'NaN', 'Infinity', '-0', '1.0', '"7"', '[]', '-5',
       '["a",null,1.25]', '100000000000000000000.0', '1e-7', '["a\\u0001\\"b\\u007f\\n\\\\x"]', '["q\\"\'"]']


def wrong_line(query, answers, number):
    """A line of predictions, right or wrong."""
    ids = [str(x) for x in random.sample(range(30), 10)]
    kind = random.random()
    if kind < .15:
        ids[random.randrange(10)] = random.choice(ODD)
    elif kind < .2:
        ids = ids[:random.randrange(12)]
    elif kind < .25:
        ids[3] = ids[4]
    body = "[%s]" % ", ".join(ids) if random.random() > .04 else random.choice(ODD)
    line = '{"%s": %s, "%s": %s}' % (query, number, answers, body)
    kind = random.random()
    if kind < .04:
        return line[:random.randrange(len(line))]
    if kind < .08:
        return line.replace(random.choice([query, answers]), "zz", 1)
    if kind < .12:
        return random.choice(['[1, "x"]', ""])
    if kind < .2:
        return "\u3000\t" + line + "\xa0 "
    if kind < .25:
        return line[:-1] + ', "%s": %s}' % (answers, list(range(10)))
    return line


def small(query, answers):
    with open("texts.jsonl", "w") as f:
        for i in range(5):
            right = random.sample(range(30), random.randint(0, 4))
            f.write(json.dumps({query: i, answers: right}) + random.choice(["\n", "\r\n", " \n"]))
    with open("predictions.jsonl", "w") as f:
        end = random.choice(["\n", "\r\n"])
        f.write(end.join(wrong_line(query, answers, i) for i in range(5)) + random.choice(["", "\n"]))


def large(query, answers):
    """Many queries without a prediction: the message lists them in the order of Python's set."""
    n = random.choice([1, 3, 9, 30, 200, 3000, 60000])
    high = random.choice([2 * n + 20, 10**6, 2**40, 2**62])
    low = random.choice([0, 0, -high])
    ids = list({random.randint(low, high) for _ in range(n)})
    random.shuffle(ids)
    share = random.choice([0, .1, .5, .76, .9, .999, 1])
    with open("texts.jsonl", "w") as f:
        for i in ids:
            f.write(json.dumps({query: i, answers: random.sample(range(30), random.randint(0, 4))}) + "\n")
    given = [i for i in ids if random.random() < share] + [random.randint(low, high) for _ in range(random.choice([0, n // 2]))]
    with open("predictions.jsonl", "w") as f:
        for i in given:
            f.write(json.dumps({query: i, answers: random.sample(range(30), 10)}) + "\n")


def main():
    random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    n_rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    os.chdir(tempfile.mkdtemp())
    n_different = 0
    for _ in range(n_rounds):
        turned = random.random() < .5
        query, answers = ("image_id", "text_ids") if turned else ("text_id", "image_ids")
        random.choice([small, small, small, large])(query, answers)
        files = ["texts.jsonl", "predictions.jsonl", "result.json"]
        script = os.path.join(SCRIPTS, "evaluation_tr.py" if turned else "evaluation.py")
        theirs = subprocess.run([sys.executable, script] + files, capture_output=True).stdout, open("result.json").read()
        direction = ["--direction", "image-to-text"] if turned else []
        ours = subprocess.run([TUWEN, "eval", "recall"] + files + direction, capture_output=True).stdout, open("result.json").read()
        if ours != theirs:
            n_different += 1
            print(theirs[1][:400], ours[1][:400], sep="\n")
    print(f"{n_rounds} files, {n_different} different")
    sys.exit(n_different > 0)


main()
