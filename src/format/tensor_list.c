#include "format/tensor_list.h"

#include "base/utf8.h"
#include "format/gguf/gguf.h"
#include "format/onnx/container.h"

#include <stdlib.h>
#include <string.h>

/* NULL with a message when the bytes cannot be a C string of the library. */
static char *copy_name(const void *name, size_t n_name, tw_error *err) {
    if (n_name > TW_MAX_TENSOR_NAME) {
        tw_fail(err, TW_ERR_LIMIT, "tensor name of %zu bytes, more than the limit of %d", n_name,
                TW_MAX_TENSOR_NAME);
        return NULL;
    }
    if (memchr(name, 0, n_name) || !tw_utf8_valid(name, n_name)) {
        tw_fail(err, TW_ERR_FORMAT, "tensor name of %zu bytes is not UTF-8 text", n_name);
        return NULL;
    }
    char *copy = malloc(n_name + 1);
    if (!copy) {
        tw_fail_no_memory(err, n_name + 1);
        return NULL;
    }
    memcpy(copy, name, n_name);
    copy[n_name] = '\0';
    return copy;
}

tw_status tw_tensor_list_add(tw_tensor_list *list, const void *name, size_t n_name,
                             const tw_tensor *tensor, tw_error *err) {
    tw_error local = TW_ERROR_INIT;
    if (list->n == TW_MAX_TENSORS)
        return tw_fail(err, TW_ERR_LIMIT, "more than %zu tensors", TW_MAX_TENSORS);
    if (list->n == list->capacity) {
        size_t grown = list->capacity ? list->capacity * 2 : 64;
        tw_tensor *tensors = realloc(list->tensors, grown * sizeof *tensors);
        if (!tensors) return tw_fail_no_memory(err, grown * sizeof *tensors);
        list->tensors = tensors;
        list->capacity = grown;
    }
    char *copy = copy_name(name, n_name, &local);
    if (!copy) {
        if (err) *err = local;
        return local.status;
    }
    list->tensors[list->n] = *tensor;
    list->tensors[list->n++].name = copy;
    return TW_OK;
}

tw_status tw_tensor_list_add_int(tw_tensor_list *list, const void *key, size_t n_key, int64_t value,
                                 tw_error *err) {
    if (list->n_ints == sizeof list->ints / sizeof *list->ints) return TW_OK;
    tw_error local = TW_ERROR_INIT;
    char *copy = copy_name(key, n_key, &local);
    if (!copy && local.status == TW_ERR_NO_MEMORY) {
        if (err) *err = local;
        return local.status;
    }
    if (copy) list->ints[list->n_ints++] = (tw_named_int){copy, value};
    return TW_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const tw_tensor *const *)a)->name, (*(const tw_tensor *const *)b)->name);
}

tw_status tw_tensor_list_finish(tw_tensor_list *list, tw_error *err) {
    if (list->n == 0) return tw_fail(err, TW_ERR_FORMAT, "no tensors");
    list->by_name = malloc(list->n * sizeof *list->by_name);
    if (!list->by_name) return tw_fail_no_memory(err, list->n * sizeof *list->by_name);
    for (size_t i = 0; i < list->n; i++)
        list->by_name[i] = &list->tensors[i];
    qsort(list->by_name, list->n, sizeof *list->by_name, compare_names);
    for (size_t i = 1; i < list->n; i++)
        if (compare_names(&list->by_name[i - 1], &list->by_name[i]) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "tensor \"%s\" occurs twice",
                           list->by_name[i]->name);
    return TW_OK;
}

const tw_tensor *tw_tensor_list_find(const tw_tensor_list *list, const char *name) {
    const tw_tensor wanted = {.name = name}, *key = &wanted;
    if (!list->by_name) return NULL;
    const tw_tensor **found =
        bsearch(&key, list->by_name, list->n, sizeof *list->by_name, compare_names);
    return found ? *found : NULL;
}

void tw_tensor_list_free(tw_tensor_list *list) {
    for (size_t i = 0; i < list->n; i++)
        free((void *)(uintptr_t)list->tensors[i].name);
    for (size_t i = 0; i < list->n_ints; i++)
        free(list->ints[i].key);
    free(list->tensors);
    free(list->by_name);
    tw_gguf_free(list->gguf);
    tw_onnx_facts_free(list->onnx);
    *list = (tw_tensor_list){0};
}
