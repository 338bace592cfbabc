/* Rows of a picture in, the wanted window of the resized picture out, in one go. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "image/passes.h"
#include "image/picture.h"
#include "image/recipe.h"

/* Reads all of `source` and makes the canvas [R, R] that the recipe asks for, in the mode the
 * picture has at that point of the recipe (alpha not premultiplied); tw_convert_to_rgb24 finishes
 * it. Free it with tw_picture_free. */
tw_status tw_resize(const tw_recipe *recipe, tw_pass_isa isa, tw_source *source, tw_picture *canvas,
                    tw_error *err);

#endif
