#!/usr/bin/env python3
"""Prints the coefficients of gelu_avx2 (include/morsel/ops/cpu/vector_math_avx2.hpp): erf(x / sqrt 2) / 2 as x P(x²) / Q(x²) for |x| <= 5.5, both of degree 5.
Linear least squares, weighted by the last denominator (Sanathanan and Koerner 1963) and by the last errors until these are even (Lawson 1961); what is
evened out is the error of gelu. Needs numpy. --check: also the largest errors of gelu in f32."""
import math, sys
import numpy as np

LIMIT, DEGREE = 5.5, 5
erf = np.vectorize(math.erf)

x = np.unique(np.concatenate([LIMIT * np.sin(np.linspace(0, math.pi / 2, 4001)[1:]), np.linspace(1e-3, LIMIT, 4000)]))
powers = np.vander((x / LIMIT) ** 2, DEGREE + 1, increasing=True)
wanted, weight = erf(x / math.sqrt(2)) / (2 * x), np.maximum(x, 0.7) * x
least, lawson, below = 1.0, np.ones_like(x), np.ones_like(x)
for step in range(60):
    w = np.sqrt(lawson) * weight / below
    solved = np.linalg.lstsq(np.hstack([powers, -wanted[:, None] * powers[:, 1:]]) * w[:, None], wanted * w, rcond=None)[0]
    p, q = solved[:DEGREE + 1], np.concatenate([[1], solved[DEGREE + 1:]])
    below = powers @ q
    error = np.abs(powers @ p / below - wanted) * weight
    if error.max() < least:
        least, best = error.max(), (p, q)
    if step > 5:
        lawson *= np.sqrt(error / error.max() + 1e-3)
        lawson /= lawson.mean()
scale = LIMIT ** (2.0 * np.arange(DEGREE + 1))
above, below = ((c / scale).astype(np.float32) for c in best)
for row in above, below:
    print("    {" + ", ".join(f"{float(v):.9g}f" for v in row) + "},")
if "--check" in sys.argv:
    f = np.float32
    x = np.linspace(-9, 9, 400001).astype(f)

    def half_erf(x):  # a fused multiply-add rounds once; f64 holds the product exactly
        x = np.clip(x, f(-LIMIT), f(LIMIT))
        t, sums = (x * x).astype(f), []
        for row in above, below:
            s = row[DEGREE]
            for c in row[DEGREE - 1::-1]:
                s = (np.float64(s) * np.float64(t) + np.float64(c)).astype(f)
            sums.append(s)
        return ((x * sums[0]).astype(f) / sums[1]).astype(f)
    error = np.abs((x * (f(0.5) + half_erf(x))).astype(f) - np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(float)]))
    print("largest error", error.max(), "below -1", error[x < -1].max(), "and where |x| < 1", error[np.abs(x) < 1].max(), "of all coefficients the least", min(above.min(), below.min()),
          "at the limit", half_erf(np.array([LIMIT], f)), file=sys.stderr)
