/* The order in which Python goes through a set of integers: a message of Chinese-CLIP's evaluation
 * lists ids in it. */
#ifndef EVAL_PYTHON_SET_H
#define EVAL_PYTHON_SET_H

#include "base/status.h"

/* Of the set made of `all` [n_all] (different ids, added in this order) minus another set of
 * n_other elements, `lacks` telling which are not in it: the elements in Python's order, to be
 * freed with free(). Source: CPython 3.7 to 3.13, Objects/setobject.c: open addressing with linear
 * probes. */
tw_status tw_python_set_difference(const int64_t *all, size_t n_all, size_t n_other,
                                   bool (*lacks)(const void *user, int64_t id), const void *user,
                                   int64_t **out, size_t *n_out, tw_error *err);

#endif
