/* What a container reader fills: named tensor views in file order, and the integers beside them. */
#ifndef FORMAT_TENSOR_LIST_H
#define FORMAT_TENSOR_LIST_H

#include "tensor/tensor.h"

#define TW_MAX_TENSORS ((size_t)1 << 18)
#define TW_MAX_TENSOR_NAME 1024 /* bytes */

typedef struct tw_named_int {
    char *key;
    int64_t value;
} tw_named_int;

typedef struct tw_tensor_list {
    const char *format; /* static; set when a reader finds a special kind of its container */
    tw_tensor *tensors; /* each name is owned by the list */
    size_t n, capacity;
    const tw_tensor **by_name; /* [n], after tw_tensor_list_finish */
    tw_named_int ints[64];
    size_t n_ints;
    struct tw_gguf *gguf; /* metadata of a GGUF file, owned; NULL for other containers */
    struct tw_onnx_facts *onnx; /* what an ONNX graph says, owned; likewise */
    const char *path; /* of the file, for what lies beside it; borrowed; NULL for bytes in memory */
} tw_tensor_list;

/* Appends a copy of `tensor` under a copy of the name; refuses invalid UTF-8 and NUL in it. */
tw_status tw_tensor_list_add(tw_tensor_list *list, const void *name, size_t n_name,
                             const tw_tensor *tensor, tw_error *err);
/* Keeps up to 64; what does not fit or has no printable key is left out. */
tw_status tw_tensor_list_add_int(tw_tensor_list *list, const void *key, size_t n_key, int64_t value,
                                 tw_error *err);
/* Sorts for look-up; an empty list or a name that occurs twice is TW_ERR_FORMAT. */
tw_status tw_tensor_list_finish(tw_tensor_list *list, tw_error *err);
const tw_tensor *tw_tensor_list_find(const tw_tensor_list *list, const char *name);
void tw_tensor_list_free(tw_tensor_list *list);

#endif
