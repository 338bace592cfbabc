/* exp and the two GELUs. The coefficients are printed by dev/kernels/minimax.py; the errors stated
 * here are those that tests/kernels/ measures. */

/* e^x for x <= 88.37 (above, the value there); 0 below -87.68. Within 1.2 ulp of the true value
 * where that is a normal number. NaN stays NaN. x = n ln2 + r, |r| <= ln2/2; e^x = 2^n (1 + r + r^2
 * q(r)). Adding 1.5 * 2^23 + 127 to x / ln2 rounds it to an integer and leaves n + 127, the
 * exponent field of 2^n, in the low bits. */
ALWAYS_INLINE vf v_exp(vf x) {
    const vf magic = v_set1(12582912.0f + 127.0f);
    x = v_max(v_set1(-88.0f), v_min(v_set1(88.37f), x));
    vf t = v_fma(x, v_set1(1.44269504f), magic);
    vf n = v_sub(t, magic);
    vf r = v_fnma(n, v_set1(0.693359375f), x); /* ln2 in two parts; n times the first is exact */
    r = v_fnma(n, v_set1(-2.12194440e-4f), r);
    vf q = v_set1(0.00138145825f);
    q = v_fma(q, r, v_set1(0.00836872403f));
    q = v_fma(q, r, v_set1(0.041668389f));
    q = v_fma(q, r, v_set1(0.166665211f));
    q = v_fma(q, r, v_set1(0.49999994f));
    q = v_fma(q, r, v_set1(1.0f));
    q = v_fma(q, r, v_set1(1.0f));
    return v_mul(q, v_exponent(t));
}

/* x sigmoid(1.702 x). Error at most 2 * 2^-24 |x|, and in the negative tail also at most
 * (10 + 3.4 |x|) * 2^-24 of the result, down to 1e-36. */
ALWAYS_INLINE vf v_quick_gelu(vf x) {
    vf e = v_exp(v_mul(v_set1(-1.702f), x));
    return v_div(x, v_add(v_set1(1.0f), e));
}

/* x Phi(x) = 0.5 x (1 + erf(x / sqrt 2)), as max(x, 0) - a Phi(-a) with a = |x| and
 * Phi(-a) = e^(-a^2/2) t P(t), t = 1 / (1 + 0.26 a): so the negative tail keeps its relative
 * precision where 1 + erf would cancel. Beyond a = 13 the term is under 1e-36 and a is held there,
 * which also keeps infinities right. */
ALWAYS_INLINE vf v_erf_gelu(vf x) {
    vf a = v_min(v_set1(13.0f), v_abs(x));
    vf t = v_div(v_set1(1.0f), v_fma(a, v_set1(0.26f), v_set1(1.0f)));
    vf e = v_exp(v_mul(v_mul(a, a), v_set1(-0.5f)));
    vf p = v_set1(0.0310658496f);
    p = v_fma(p, t, v_set1(-0.155573472f));
    p = v_fma(p, t, v_set1(0.257208884f));
    p = v_fma(p, t, v_set1(-0.157558545f));
    p = v_fma(p, t, v_set1(0.165575594f));
    p = v_fma(p, t, v_set1(0.0490222573f));
    p = v_fma(p, t, v_set1(0.103554554f));
    p = v_fma(p, t, v_set1(0.102941252f));
    p = v_fma(p, t, v_set1(0.103763632f));
    return v_fnma(v_mul(a, t), v_mul(p, e), v_max(v_zero(), x));
}

ALWAYS_INLINE vf v_activate(vf x, tw_act act) {
    if (act == TW_ACT_QUICK) return v_quick_gelu(x);
    if (act == TW_ACT_GELU) return v_erf_gelu(x);
    return x;
}
