#!/usr/bin/env python3
"""Prints the table of include/morsel/ops/cpu/vector_math_avx512.hpp: erf(a / sqrt 2) / 2 for a in [0, 5.6) as 16 polynomials of degree 5
in the distance from the middle of each sixteenth, through the Chebyshev nodes. Needs numpy. --check: also the largest errors of gelu in f32."""
import math, sys
import numpy as np

LIMIT, PARTS, DEGREE = 5.6, 16, 5


def half_erf(a):
    return 0.5 * math.erf(a / math.sqrt(2))


nodes = [0.5 * math.cos(math.pi * (2 * j + 1) / (2 * DEGREE + 2)) for j in range(DEGREE + 1)]
table = np.array([np.linalg.solve(np.vander(nodes, increasing=True), [half_erf((i + 0.5 + u) * LIMIT / PARTS) for u in nodes]) for i in range(PARTS)])
table = table.T.astype(np.float32)  # [degree][part]
for row in table:
    print("    {" + ", ".join(f"{float(v):.9g}f" for v in row) + "},")
if "--check" in sys.argv:
    f = np.float32
    x = np.linspace(-9, 9, 400001).astype(f)
    t = np.minimum(np.abs(x) * f(PARTS / LIMIT), f(15.999999))
    i = t.astype(np.int32)
    u = (t - i.astype(f)) - f(0.5)
    p = table[DEGREE][i]
    for d in range(DEGREE - 1, -1, -1):
        p = (p * u + table[d][i]).astype(f)
    error = np.abs(x * (f(0.5) + np.copysign(p, x)) - np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(float)]))
    print("largest error", error.max(), "and where |x| < 1", error[np.abs(x) < 1].max(), file=sys.stderr)
