#!/usr/bin/env python3
"""Polynomial coefficients of src/kernels/simd/math.inc.h, by the Remez exchange.

Needs mpmath. Never needed to build or run tuwen: the printed numbers are in the source.

  exp(r)           = 1 + r + r^2 q(r),              |r| <= ln(2)/2, least relative error
  Phi(-a) e^(a^2/2) = t P(t), t = 1/(1 + C a),      0 <= a <= 13,   least relative error
"""
import struct

from mpmath import mp, mpf, erfc, exp, log, lu_solve, matrix, cos, pi, sqrt

mp.dps = 60


def remez(target, basis, weight, low, high, rounds=40):
    """Coefficients c so that max |weight (sum c_i basis_i - target)| over [low, high] is least."""
    n = len(basis)
    xs = [low + (high - low) * (1 - cos(pi * mpf(i) / n)) / 2 for i in range(n + 1)]
    grid = [low + (high - low) * (1 - cos(pi * mpf(i) / 3000)) / 2 for i in range(3001)]
    tables = [[f(x) for f in basis] for x in grid]
    targets, weights = [target(x) for x in grid], [weight(x) for x in grid]
    for _ in range(rounds):
        m, rhs = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for i, x in enumerate(xs):
            for j, f in enumerate(basis):
                m[i, j] = f(x)
            m[i, n], rhs[i] = (-1) ** i / weight(x), target(x)
        c = lu_solve(m, rhs)
        error = [w * (sum(c[j] * row[j] for j in range(n)) - t)
                 for row, t, w in zip(tables, targets, weights)]
        peaks = []  # the largest error of each run of one sign
        for x, e in zip(grid, error):
            if peaks and (peaks[-1][1] > 0) == (e > 0):
                if abs(e) > abs(peaks[-1][1]):
                    peaks[-1] = (x, e)
            else:
                peaks.append((x, e))
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
        if len(peaks) < n + 1:
            break
        xs = [x for x, _ in peaks]
        sizes = [abs(e) for _, e in peaks]
        if max(sizes) / min(sizes) < mpf("1.0001"):
            break
    return [c[j] for j in range(n)], max(abs(e) for e in error)


def f32(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def show(title, coefficients, error):
    print(f"{title}: relative error {float(error):.2e}")
    for c in coefficients:
        print(f"    {f32(c):.9g}f")


def main():
    half = log(2) / 2 * mpf("1.0002")
    basis = [lambda r, i=i: r ** (i + 2) for i in range(5)]
    c, e = remez(lambda r: exp(r) - 1 - r, basis, lambda r: exp(-r), -half, half)
    show("exp, q", c, e)

    g = lambda a: erfc(a / sqrt(mpf(2))) * exp(a * a / 2) / 2
    best = None
    for percent in range(26, 36, 2):
        scale = mpf(f32(percent / 100))
        basis = [lambda a, i=i: (1 / (1 + scale * a)) ** (i + 1) for i in range(9)]
        c, e = remez(g, basis, lambda a: 1 / g(a), mpf(0), mpf(13), rounds=12)
        if best is None or e < best[1]:
            best = (c, e, scale)
    show(f"Phi tail, C = {float(best[2])}", best[0], best[1])


if __name__ == "__main__":
    main()
