/* tuwen.h – CLIP and Chinese-CLIP inference in C. The whole public interface.
 *
 *     tw_pool *pool;  tw_model *model;  tw_encoder *encoder;  tw_error err = TW_ERROR_INIT;
 *     tw_pool_create(0, &pool, &err);
 *     tw_model_open("model.gguf", &model, &err);
 *     tw_encoder_create(model, pool, NULL, &encoder, &err);
 *     tw_encode_texts(encoder, texts, n, NULL, features, NULL, &err);
 *
 * base.h    status, error, hooks, threads      model.h   convert, open, inspect
 * image.h   pictures into pixels               encode.h  features, similarity, classification
 * text.h    words into ids                     export.h  models as ONNX graphs
 */
#ifndef TUWEN_TUWEN_H
#define TUWEN_TUWEN_H

#include "tuwen/base.h"
#include "tuwen/encode.h"
#include "tuwen/export.h"
#include "tuwen/image.h"
#include "tuwen/model.h"
#include "tuwen/text.h"

#endif
