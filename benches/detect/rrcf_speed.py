"""Readings a second of `rrcf` (https://pypi.org/project/rrcf), learned and scored, on one core.

The same wave as `bench-detect speed` has, and the same forest as krcf's defaults are: 50 trees of 256, shingle 8. Each
reading is forgotten, inserted and scored in each tree as in rrcf's documentation ("Streaming anomaly detection").
"""

import json
import math
import sys
import time

import numpy as np
import rrcf

TREES, SAMPLE_SIZE, SHINGLE = 50, 256, 8
MASK = (1 << 64) - 1


def reading(n):
    x = (n + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    noise = ((x ^ (x >> 31)) >> 11) / (1 << 53)
    return 10.0 + math.sin(n * math.tau / 288) + 0.3 * noise


def main(counted):
    np.random.seed(1)
    forest = [rrcf.RCTree() for _ in range(TREES)]
    shingles = rrcf.shingle((reading(n) for n in range(SAMPLE_SIZE + counted + SHINGLE)), size=SHINGLE)
    scores, begun = 0.0, 0.0
    for index, shingle in enumerate(shingles):
        if index == SAMPLE_SIZE:
            begun = time.thread_time()
        if index == SAMPLE_SIZE + counted:
            break
        for tree in forest:
            if len(tree.leaves) >= SAMPLE_SIZE:
                tree.forget_point(index - SAMPLE_SIZE)
            tree.insert_point(shingle, index=index)
            scores += tree.codisp(index) / TREES
    seconds = time.thread_time() - begun
    assert math.isfinite(scores)
    print(json.dumps({"rrcf": counted / seconds}))


main(int(sys.argv[1]))
