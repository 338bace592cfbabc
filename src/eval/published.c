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

double tw_published_tolerance(const tw_published_example *e, size_t source, bool rounded) {
    const tw_published_source *s = &e->sources[source];
    return rounded && s->tolerance_rounded > 0 ? s->tolerance_rounded : s->tolerance;
}

bool tw_published_agrees(const tw_published_example *e, size_t source, bool rounded,
                         const float *probs) {
    return tw_published_difference(e, source, probs) <= tw_published_tolerance(e, source, rounded);
}

bool tw_published_all_agree(const tw_published_example *e, bool rounded, const float *probs) {
    for (size_t k = 0, n = tw_published_n_sources(e); k < n; k++)
        if (!tw_published_agrees(e, k, rounded, probs)) return false;
    return true;
}

const char *tw_published_weights(const tw_published_example *e, bool rounded) {
    bool matters = false;
    for (size_t k = 0, n = tw_published_n_sources(e); k < n; k++)
        matters = matters || e->sources[k].tolerance_rounded > 0;
    return !matters  ? NULL
           : rounded ? "rounded through f16, as the original does when it loads them by name"
                     : "as stored; the original rounds them through f16 when it loads them by "
                       "name: tuwen convert --round-f16";
}
