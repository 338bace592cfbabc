#include "eval/topk.h"

#include <stdbool.h>

static bool better(tw_scored a, tw_scored b) {
    return a.score > b.score;
}

static void swap(tw_scored *a, tw_scored *b) {
    tw_scored t = *a;
    *a = *b;
    *b = t;
}

/* Equal scores keep their order. */
static void insertion_sort(tw_scored *row, size_t n) {
    for (size_t i = 1; i < n; i++) {
        tw_scored moving = row[i];
        size_t j = i;
        for (; j > 0 && better(moving, row[j - 1]); j--)
            row[j] = row[j - 1];
        row[j] = moving;
    }
}

/* --------------------------------------------------------------------------- std::nth_element */

/* Puts the median of b, c, d into a. */
static void median_to(tw_scored *a, tw_scored *b, tw_scored *c, tw_scored *d) {
    tw_scored *median;
    if (better(*b, *c))
        median = better(*c, *d) ? c : better(*b, *d) ? d : b;
    else
        median = better(*b, *d) ? b : better(*c, *d) ? d : c;
    swap(a, median);
}

/* Splits row [n >= 4] around a median of three; returns where the second part starts. */
static size_t split(tw_scored *row, size_t n) {
    median_to(row, row + 1, row + n / 2, row + n - 1);
    size_t low = 1, high = n;
    for (;;) {
        while (better(row[low], row[0]))
            low++;
        high--;
        while (better(row[0], row[high]))
            high--;
        if (low >= high) return low;
        swap(row + low, row + high);
        low++;
    }
}

/* Element `nth` and those before it become the best. Without the library's escape to a heap after
 * 2 log2(n) unlucky splits, which changes the time and only in made-up cases the order of ties. */
static void select_nth(tw_scored *row, size_t n, size_t nth) {
    size_t begin = 0, end = n;
    while (end - begin > 3) {
        size_t cut = begin + split(row + begin, end - begin);
        if (cut <= nth)
            begin = cut;
        else
            end = cut;
    }
    insertion_sort(row + begin, end - begin);
}

/* -------------------------------------------------------------------------- std::partial_sort */

/* A heap with its worst element on top. Fills the hole: better-or-equal children move up to the
 * bottom, then `value` climbs to its place. */
static void adjust(tw_scored *heap, size_t hole, size_t n, tw_scored value) {
    size_t top = hole, child = hole;
    while (child < (n - 1) / 2) {
        child = 2 * (child + 1);
        if (better(heap[child], heap[child - 1])) child--;
        heap[hole] = heap[child];
        hole = child;
    }
    if (n % 2 == 0 && child == (n - 2) / 2) {
        child = 2 * child + 1;
        heap[hole] = heap[child];
        hole = child;
    }
    while (hole > top && better(heap[(hole - 1) / 2], value)) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

static void sort_best(tw_scored *row, size_t n, size_t k) {
    for (size_t parent = k / 2; parent-- > 0;)
        adjust(row, parent, k, row[parent]);
    for (size_t i = k; i < n; i++) {
        if (!better(row[i], row[0])) continue;
        tw_scored value = row[i];
        row[i] = row[0];
        adjust(row, 0, k, value);
    }
    for (size_t last = k; last-- > 1;) {
        tw_scored value = row[last];
        row[last] = row[0];
        adjust(row, 0, last, value);
    }
}

void tw_topk(tw_scored *row, size_t n, size_t k) {
    if (k * 64 <= n) {
        sort_best(row, n, k);
        return;
    }
    select_nth(row, n, k - 1);
    insertion_sort(row, k - 1); /* std::sort itself inserts up to 16 elements */
}
