/* Text that was decoded with the wrong encoding, as ftfy finds and repairs it. The sets, the rules
 * and the encodings are data (mojibake_table.c, generated). */
#ifndef TEXT_MOJIBAKE_H
#define TEXT_MOJIBAKE_H

#include "base/status.h"
#include "text/codepoints.h"

/* A set is a bit of a mask of 128. The first five are those of the UTF-8 detector; the last four
 * are too large for a table and found out at run time. */
enum {
    TW_SET_FIRST_OF_2 = 0,
    TW_SET_FIRST_OF_3 = 1,
    TW_SET_FIRST_OF_4 = 2,
    TW_SET_CONTINUATION = 3,
    TW_SET_CONTINUATION_STRICT = 4,
    TW_SET_SPACE = 124,      /* \s */
    TW_SET_WORD = 125,       /* \w */
    TW_SET_NOT_LETTER = 126, /* [^A-Za-z] */
    TW_SET_ANY = 127         /* . */
};

typedef struct tw_mojibake_range {
    uint32_t first, last;
    uint64_t sets[2];
} tw_mojibake_range;
extern const tw_mojibake_range tw_mojibake_ranges[]; /* sorted */
extern const size_t tw_n_mojibake_ranges;

/* A sequence of characters, one of each set in turn, that real text hardly has. */
typedef struct tw_mojibake_rule {
    uint8_t n;
    bool at_start; /* only at the start of the text */
    uint8_t sets[8];
} tw_mojibake_rule;
extern const tw_mojibake_rule tw_mojibake_rules[];
extern const size_t tw_n_mojibake_rules;

typedef struct tw_mojibake_encoding {
    const char *name;
    bool sloppy;       /* passes unassigned bytes through; byte 0x1A stands for U+FFFD */
    bool keeps_spaces; /* a space is never taken for a lost byte 0xA0 */
    uint8_t n;
    struct {
        uint16_t c;
        uint8_t byte;
    } pairs[129]; /* sorted by c; what is not here is ASCII and itself */
} tw_mojibake_encoding;
enum { TW_N_MOJIBAKE_ENCODINGS = 10 };
extern const tw_mojibake_encoding tw_mojibake_encodings[TW_N_MOJIBAKE_ENCODINGS];

/* Whether a rule matches somewhere (ftfy.badness.is_bad). */
bool tw_looks_like_mojibake(const uint32_t *c, size_t n);

/* What a C1 control means in Windows-1252. */
uint32_t tw_c1_meaning(uint32_t c);

/* ftfy.fix_encoding(), in place. `work` counts down by the code points read, so that hostile text
 * costs no more than its caller allows. Errors: TW_ERR_LIMIT, TW_ERR_NO_MEMORY. */
tw_status tw_fix_encoding(tw_codepoints *text, size_t *work, tw_error *err);

#endif
