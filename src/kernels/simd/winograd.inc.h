/* The transforms of a 3x3 convolution by F(2x2, 3x3), Lavin and Gray 2015: 16 multiplications for
 * 2 x 2 outputs instead of 36. With a tile's input d (4 x 4), the weights g (3 x 3), and
 *
 *         1  0 -1  0               1    0    0
 *   B^T = 0  1  1  0           G = 1/2  1/2  1/2        A^T = 1  1  1  0
 *         0 -1  1  0               1/2 -1/2  1/2              0  1 -1 -1
 *         0  1  0 -1               0    0    1
 *
 * the output is A^T [sum over channels of (G g G^T) * (B^T d B)] A, where * multiplies element by
 * element: the sums are 16 matrix products. */

/* The 4 x 4 pixels around a tile; bit i of rows and columns: inside the map. */
typedef struct patch {
    const float *x;   /* the map */
    ptrdiff_t origin; /* of the patch in it */
    size_t w, c;      /* pixels of the map's rows; channels */
    unsigned rows, columns;
} patch;

static patch patch_at(const float *x, size_t h, size_t w, size_t c, size_t tile) {
    size_t y = tile / (w / 2) * 2, column = tile % (w / 2) * 2;
    patch p = {.x = x, .w = w, .c = c, .rows = 15, .columns = 15};
    if (y == 0) p.rows &= 14;
    if (y + 2 == h) p.rows &= 7;
    if (column == 0) p.columns &= 14;
    if (column + 2 == w) p.columns &= 7;
    p.origin = ((ptrdiff_t)(y * w + column) - (ptrdiff_t)w - 1) * (ptrdiff_t)c;
    return p;
}

ALWAYS_INLINE vf some_load(const float *p, size_t lanes) {
    return lanes == VL ? v_load(p) : v_load_n(p, lanes);
}
ALWAYS_INLINE void some_store(float *p, vf a, size_t lanes) {
    if (lanes == VL)
        v_store(p, a);
    else
        v_store_n(p, a, lanes);
}

/* t = B^T d of one column. */
ALWAYS_INLINE void spread(vf d0, vf d1, vf d2, vf d3, vf t[4]) {
    t[0] = v_sub(d0, d2);
    t[1] = v_add(d1, d2);
    t[2] = v_sub(d2, d1);
    t[3] = v_sub(d1, d3);
}

/* Some channels of a patch to the 16 matrices. */
ALWAYS_INLINE void spread_patch(const patch *p, size_t channel, size_t lanes, int inside, float *v,
                                size_t plane) {
    vf t[4][4], row[4];
    UNROLL for (size_t j = 0; j < 4; j++) {
        vf d[4], column[4];
        UNROLL for (size_t i = 0; i < 4; i++) {
            int exists = inside || (p->rows >> i & p->columns >> j & 1);
            ptrdiff_t at = p->origin + (ptrdiff_t)((i * p->w + j) * p->c + channel);
            d[i] = exists ? some_load(p->x + at, lanes) : v_zero();
        }
        spread(d[0], d[1], d[2], d[3], column);
        UNROLL for (size_t i = 0; i < 4; i++) t[i][j] = column[i];
    }
    UNROLL for (size_t i = 0; i < 4; i++) {
        spread(t[i][0], t[i][1], t[i][2], t[i][3], row);
        UNROLL for (size_t j = 0; j < 4; j++)
            some_store(v + (i * 4 + j) * plane + channel, row[j], lanes);
    }
}

static void winograd_in(const float *x, size_t h, size_t w, size_t c, size_t tile_begin,
                        size_t tile_end, float *v, size_t plane) {
    for (size_t tile = tile_begin; tile < tile_end; tile++, v += c) {
        patch p = patch_at(x, h, w, c, tile);
        int inside = (p.rows & p.columns) == 15;
        size_t i = 0;
        for (; inside && i + VL <= c; i += VL)
            spread_patch(&p, i, VL, 1, v, plane);
        for (; i < c; i += VL)
            spread_patch(&p, i, min_size(c - i, VL), 0, v, plane);
    }
}

/* The two outputs of A^T m. */
ALWAYS_INLINE vf gather_first(vf m0, vf m1, vf m2) {
    return v_add(v_add(m0, m1), m2);
}
ALWAYS_INLINE vf gather_second(vf m1, vf m2, vf m3) {
    return v_sub(v_sub(m1, m2), m3);
}

/* Some channels of a tile: max(0, A^T m A + bias) to its four pixels. */
ALWAYS_INLINE void gather_tile(const float *m, size_t plane, vf bias, size_t lanes, float *out,
                               size_t w, size_t c) {
    vf t[2][4];
    UNROLL for (size_t j = 0; j < 4; j++) {
        vf d[4];
        UNROLL for (size_t i = 0; i < 4; i++) d[i] = some_load(m + (i * 4 + j) * plane, lanes);
        t[0][j] = gather_first(d[0], d[1], d[2]);
        t[1][j] = gather_second(d[1], d[2], d[3]);
    }
    UNROLL for (size_t i = 0; i < 2; i++) {
        vf left = gather_first(t[i][0], t[i][1], t[i][2]);
        vf right = gather_second(t[i][1], t[i][2], t[i][3]);
        float *to = out + i * w * c;
        some_store(to, v_max(v_zero(), v_add(left, bias)), lanes);
        some_store(to + c, v_max(v_zero(), v_add(right, bias)), lanes);
    }
}

static void winograd_out(const float *m, size_t plane, const float *bias, size_t w, size_t c,
                         size_t tile_begin, size_t tile_end, float *out) {
    for (size_t tile = tile_begin; tile < tile_end; tile++, m += c) {
        size_t y = tile / (w / 2) * 2, column = tile % (w / 2) * 2, i = 0;
        float *to = out + (y * w + column) * c;
        for (; i + VL <= c; i += VL)
            gather_tile(m + i, plane, v_load(bias + i), VL, to + i, w, c);
        if (i < c) gather_tile(m + i, plane, v_load_n(bias + i, c - i), c - i, to + i, w, c);
    }
}
