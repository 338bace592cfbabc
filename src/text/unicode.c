#include "text/unicode.h"

#include "base/size.h"

#include <utf8proc.h>

typedef struct range {
    uint32_t first, last;
} range;

static bool in_ranges(uint32_t c, const range *ranges, size_t n_ranges) {
    for (size_t i = 0; i < n_ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last) return true;
    return false;
}

bool tw_is_python_space(uint32_t c) {
    static const range spaces[] = {
        {0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
    return in_ranges(c, spaces, TW_COUNT(spaces));
}

bool tw_is_unicode_space(uint32_t c) {
    return tw_is_python_space(c) && !(c >= 0x1C && c <= 0x1F);
}

bool tw_is_letter(uint32_t c) {
    if (c < 0x80) return (c | 32) >= 'a' && (c | 32) <= 'z';
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool tw_is_number(uint32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

/* Other_Uppercase and those of Other_Lowercase that are not case-ignorable: what has the property
 * Cased without being of category Lu, Ll or Lt (DerivedCoreProperties.txt). */
static const range other_cased[] = {{0x00AA, 0x00AA},  {0x00BA, 0x00BA},   {0x2160, 0x217F},
                                    {0x24B6, 0x24E9},  {0x1F130, 0x1F149}, {0x1F150, 0x1F169},
                                    {0x1F170, 0x1F189}};

/* Word_Break = MidLetter, MidNumLet or Single_Quote: what is Case_Ignorable without being of
 * category Mn, Me, Cf, Lm or Sk. */
static const range other_ignorable[] = {
    {0x0027, 0x0027}, {0x002E, 0x002E}, {0x003A, 0x003A}, {0x00B7, 0x00B7},
    {0x0387, 0x0387}, {0x055F, 0x055F}, {0x05F4, 0x05F4}, {0x2018, 0x2019},
    {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
    {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};

tw_case_context tw_case_context_of(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return TW_CASE_CASED;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return TW_CASE_IGNORABLE;
    default:
        break;
    }
    if (in_ranges(c, other_ignorable, TW_COUNT(other_ignorable))) return TW_CASE_IGNORABLE;
    if (in_ranges(c, other_cased, TW_COUNT(other_cased))) return TW_CASE_CASED;
    return TW_CASE_NONE;
}

uint32_t tw_simple_lower(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

int tw_decompose(uint32_t c, uint32_t out[TW_NFD_MAX]) {
    out[0] = c;
    if (c < 0xC0) return 1;
    utf8proc_int32_t parts[TW_NFD_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, TW_NFD_MAX,
                                                 UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > TW_NFD_MAX) return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)parts[i];
    return (int)n;
}

int tw_decompose_width(uint32_t c, uint32_t out[TW_NFD_MAX]) {
    utf8proc_int32_t parts[TW_NFD_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, TW_NFD_MAX,
                                                 UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    out[0] = c;
    if (n < 1 || n > TW_NFD_MAX) return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)parts[i];
    return (int)n;
}

tw_mark tw_mark_of(uint32_t c) {
    if (c < 0x80) {
        bool letter_or_digit =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        return (tw_mark){.punctuation = c > ' ' && c < 0x7F && !letter_or_digit};
    }
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)c);
    utf8proc_propval_t category = property->category;
    return (tw_mark){.nonspacing = category == UTF8PROC_CATEGORY_MN,
                     .punctuation =
                         category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO,
                     .combining_class = (uint8_t)property->combining_class};
}

/* Chinese-CLIP's list, word for word: kana, Hangul and planes from U+30000 are not in it. */
static bool is_cjk(uint32_t c) {
    static const range ideographs[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                       {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF},
                                       {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    return c >= 0x3400 && in_ranges(c, ideographs, TW_COUNT(ideographs));
}

tw_char_kind tw_char_kind_of(uint32_t c) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return TW_CHAR_SPACE;
    if (c < 0x7F) return c < ' ' ? TW_CHAR_DROPPED : TW_CHAR_OTHER;
    if (is_cjk(c)) return TW_CHAR_CJK;
    if (c == 0xFFFD) return TW_CHAR_DROPPED;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
        return TW_CHAR_DROPPED;
    case UTF8PROC_CATEGORY_ZS:
        return TW_CHAR_SPACE;
    default:
        return tw_is_python_space(c) ? TW_CHAR_SPACE : TW_CHAR_OTHER;
    }
}
