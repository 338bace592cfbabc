/* From inert pickle values to tensor views: storages, offsets and strides checked against the
 * bytes that are there. Nothing but the state dict is looked at. */
#ifndef FORMAT_TORCH_REBUILD_H
#define FORMAT_TORCH_REBUILD_H

#include "format/tensor_list.h"
#include "format/torch/pickle.h"

/* ('storage', type, key, location, count[, view of the storage]) */
typedef struct tw_torch_storage {
    const tw_pickle_value *key; /* a string */
    tw_dtype dtype;
    uint64_t n_elements, n_bytes;
    bool has_view; /* legacy files only: elements [view_offset, + view_elements) of it */
    uint64_t view_offset, view_elements;
} tw_torch_storage;

/* Where storages lie in a container. */
typedef struct tw_torch_source {
    const tw_pickle *pickle;
    /* The n_bytes bytes of a storage; `container` is whatever the reader keeps. */
    tw_status (*locate)(const void *container, const tw_torch_storage *storage,
                        const uint8_t **data, tw_error *err);
    const void *container;
} tw_torch_source;

/* Reads a persistent id. */
tw_status tw_torch_read_storage(const tw_pickle *pickle, const tw_pickle_value *id,
                                tw_torch_storage *out, tw_error *err);

/* Adds `value` under a name when it is a tensor. */
tw_status tw_torch_add(const tw_torch_source *source, const void *name, size_t n_name,
                       const tw_pickle_value *value, tw_tensor_list *out, tw_error *err);

/* Adds the tensors of root["state_dict"], or of the root when it has none, and the integers of
 * the root. Other members are not looked at. The root may also be a TorchScript module. */
tw_status tw_torch_collect(const tw_torch_source *source, tw_tensor_list *out, tw_error *err);

/* Whether a value is an object of a TorchScript class: a module. */
bool tw_torch_is_module(const tw_pickle *pickle, const tw_pickle_value *value);

/* Adds the tensors of a module and of those inside it, named by the path of attributes that leads
 * to them ("visual.conv1.weight"), and the integers of the outermost one. */
tw_status tw_torch_collect_module(const tw_torch_source *source, const tw_pickle_value *module,
                                  tw_tensor_list *out, tw_error *err);

#endif
