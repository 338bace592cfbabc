/* How near an int8 model is to its checkpoint: what the file records of it, for people and JSON. */
#ifndef CLI_INT8_QUALITY_H
#define CLI_INT8_QUALITY_H

#include "base/buffer.h"
#include "tuwen/model.h"

/* Nothing for a model without int8 weights. */
void cli_put_quality(tw_buffer *b, const tw_model *model);
/* ", \"int8\": {…}", or nothing likewise. */
void cli_json_quality(tw_buffer *b, const tw_model *model);

#endif
