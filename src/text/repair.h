/* ftfy.fix_text(): what people's text looks like after programs have handled it, put right. */
#ifndef TEXT_REPAIR_H
#define TEXT_REPAIR_H

#include "base/status.h"
#include "text/codepoints.h"

/* Appends the repaired text to `out`. Errors: TW_ERR_LIMIT (damage upon damage, deeper than is
 * followed), TW_ERR_NO_MEMORY. */
tw_status tw_fix_text(const tw_codepoints *text, tw_codepoints *out, tw_error *err);

#endif
