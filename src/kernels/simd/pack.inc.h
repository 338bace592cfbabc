/* Panels: element (p, j) of a panel, the p-th of K and the j-th of NR columns, is at p * NR + j. */

/* One panel of w [n, k], its first row first_row: columns beyond n are zero. */
static void pack_panel(const float *w, size_t ldw, size_t n, size_t k, float *panel) {
    size_t full = n >= NR ? NR : n / 4 * 4, p = 0;
    for (; p + 4 <= k; p += 4)
        for (size_t j = 0; j < full; j += 4)
            transpose4(w + j * ldw + p, ldw, panel + p * NR + j, NR);
    for (; p < k; p++)
        for (size_t j = 0; j < full; j++)
            panel[p * NR + j] = w[j * ldw + p];
    for (size_t j = full; j < NR; j++)
        for (p = 0; p < k; p++)
            panel[p * NR + j] = j < n ? w[j * ldw + p] : 0.0f;
}

static void pack_f32(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                     size_t panel_end, float *packed) {
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        pack_panel(w + panel * NR * ldw, ldw, min_size(n - panel * NR, NR), k,
                   packed + panel * k * NR);
}

/* One panel of w [k, n] given transposed, that is with K down the rows: copies. */
static void copy_panel(const float *w, size_t ldw, size_t n, size_t k, float *panel) {
    for (size_t p = 0; p < k; p++, w += ldw, panel += NR)
        for (size_t j = 0; j < NR; j += VL)
            v_store(panel + j, n >= j + VL ? v_load(w + j) : v_load_n(w + j, n > j ? n - j : 0));
}
