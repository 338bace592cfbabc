/* What the tokenizer asks about one code point, answered as CPython's str methods and unicodedata
 * answer it. Categories, combining classes, case and decompositions are libutf8proc's tables. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest full canonical decomposition of one code point is 4 (e.g. U+1F82). */
enum { TW_NFD_MAX = 4 };

/* What str.split() and str.strip() take for white space. */
bool tw_is_python_space(uint32_t c);

/* \p{L}, \p{N} and \s of the regex module: categories L* and N*, and property White_Space. */
bool tw_is_letter(uint32_t c);
bool tw_is_number(uint32_t c);
bool tw_is_unicode_space(uint32_t c);

/* Full compatibility decomposition of one half-width or full-width form (U+FF01..U+FFEF); returns
 * how many. */
int tw_decompose_width(uint32_t c, uint32_t out[TW_NFD_MAX]);

/* How a code point stands beside a capital sigma (Unicode's Final_Sigma condition). One that is
 * both cased and case-ignorable counts as ignorable, for the rule looks past those first. */
typedef enum tw_case_context { TW_CASE_NONE, TW_CASE_CASED, TW_CASE_IGNORABLE } tw_case_context;
tw_case_context tw_case_context_of(uint32_t c);

/* Simple lower case. The two code points whose str.lower() depends on more, U+03A3 and U+0130,
 * are the caller's. */
uint32_t tw_simple_lower(uint32_t c);

/* Full canonical decomposition of one code point, not yet reordered; returns how many. */
int tw_decompose(uint32_t c, uint32_t out[TW_NFD_MAX]);

/* The properties of a decomposed code point that matter for stripping accents. */
typedef struct tw_mark {
    bool nonspacing;         /* category Mn */
    bool punctuation;        /* BERT's: any category P, and all ASCII symbols */
    uint8_t combining_class; /* 0 = starter */
} tw_mark;
tw_mark tw_mark_of(uint32_t c);

/* Chinese-CLIP's clean-up and word borders, before lower case. */
typedef enum tw_char_kind {
    TW_CHAR_DROPPED, /* NUL, U+FFFD, categories Cc and Cf other than tab, LF, CR */
    TW_CHAR_SPACE,   /* what becomes ' ', and what str.split() splits at */
    TW_CHAR_CJK,     /* a word of its own */
    TW_CHAR_OTHER
} tw_char_kind;
tw_char_kind tw_char_kind_of(uint32_t c);

#endif
