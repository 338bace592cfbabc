#include "manifest.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tw_tensor *manifest_add(manifest *m, const char *name, const char *shape) {
    assert_true(m->n < MANIFEST_MAX_TENSORS);
    tw_tensor *t = &m->tensors[m->n];
    snprintf(m->names[m->n], sizeof m->names[0], "%s", name);
    *t = (tw_tensor){.name = m->names[m->n], .dtype = TW_F32, .data = m};
    while (*shape >= '0' && *shape <= '9') {
        char *end;
        t->shape[t->n_dims++] = strtol(shape, &end, 10);
        shape = *end == 'x' ? end + 1 : end;
    }
    tw_tensor_set_c_order(t);
    if (strstr(name, "num_batches_tracked")) t->dtype = TW_I64;
    m->pointers[m->n++] = t;
    return t;
}

void manifest_load(manifest *m, const char *path, const char *prefix) {
    char name[160];
    size_t n;
    char *text = (char *)test_read(path, &n), *save = NULL;
    m->n = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *shape = strchr(line, '\t');
        *shape++ = '\0';
        snprintf(name, sizeof name, "%s%s", prefix, line);
        manifest_add(m, name, shape);
    }
    free(text);
}
