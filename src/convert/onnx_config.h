/* What ONNX graphs say about their model beside the weights, and where the graph of the other tower
 * is. */
#ifndef CONVERT_ONNX_CONFIG_H
#define CONVERT_ONNX_CONFIG_H

#include "convert/clip_config.h"
#include "format/checkpoint.h"
#include "model/recognize.h"
#include "text/bpe.h"

/* Opens the graph of the tower that `checkpoint` (read from `path`) lacks and `options` want: the
 * file they name, else the one beside, whose name has "txt" in place of "img" or the other way
 * round. *out is NULL when none is needed. Errors: TW_ERR_MISMATCH (there is none; it is of the
 * same tower), TW_ERR_ARGUMENT, those of tw_checkpoint_open(). */
tw_status tw_onnx_open_other(const tw_checkpoint *checkpoint, const char *path,
                             const tw_convert_options *options, tw_checkpoint **out, tw_error *err);

/* Adds to `e` and `clip` what the graph shows and its metadata say. Errors: TW_ERR_MISMATCH (an
 * option or configuration says otherwise), TW_ERR_FORMAT naming the line of metadata. */
tw_status tw_onnx_expect(const struct tw_onnx_facts *facts, tw_text_kind text_kind,
                         tw_expectation *e, tw_clip_config *clip, const tw_hooks *hooks,
                         tw_error *err);

/* How the byte pairs of a text tower spell their two specials: by our metadata, else as OpenAI's.
 */
tw_bpe_variant tw_onnx_bpe_variant(const struct tw_onnx_facts *facts);

#endif
