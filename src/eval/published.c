#include "eval/published.h"

#include <math.h>
#include <string.h>

const tw_published_example *tw_find_published(const char *name) {
    for (size_t i = 0; i < tw_n_published_examples; i++)
        if (strcmp(name, tw_published_examples[i].name) == 0) return &tw_published_examples[i];
    return NULL;
}

size_t tw_published_n_texts(const tw_published_example *e) {
    size_t n = 0;
    while (n < TW_PUBLISHED_TEXTS && e->texts[n])
        n++;
    return n;
}

size_t tw_published_n_sources(const tw_published_example *e) {
    size_t n = 0;
    while (n < TW_PUBLISHED_SOURCES && e->sources[n].name)
        n++;
    return n;
}

double tw_published_difference(const tw_published_example *e, size_t source, const float *probs) {
    double largest = 0;
    for (size_t i = 0, n = tw_published_n_texts(e); i < n; i++) {
        double d = fabs((double)probs[i] - e->sources[source].probs[i]);
        if (isnan(d)) return d;
        largest = fmax(largest, d);
    }
    return largest;
}

bool tw_published_agrees(const tw_published_example *e, size_t source, const float *probs) {
    return tw_published_difference(e, source, probs) <= e->sources[source].tolerance;
}

bool tw_published_all_agree(const tw_published_example *e, const float *probs) {
    for (size_t k = 0, n = tw_published_n_sources(e); k < n; k++)
        if (!tw_published_agrees(e, k, probs)) return false;
    return true;
}
