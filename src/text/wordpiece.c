/* Text flows through four steps, one code point at a time, in bounded memory:
 *
 *   reader      UTF-8 to code points; for the evaluation's habit also str.lower() of the whole
 *               text and straight quotes
 *   tokens      clean-up; a token ends at white space and around each ideograph; str.lower()
 *   words       NFD in canonical order, accents dropped; each punctuation mark is a word
 *   pieces      longest match first; a word that does not match or is too long is [UNK]
 *
 * Source: Chinese-CLIP cn_clip/clip/bert_tokenizer.py. */
#include "text/wordpiece.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/unicode.h"

#include <string.h>

enum {
    MAX_WORD = 200, /* code points; longer words are [UNK] (Hugging Face: 100) */
    CAPITAL_SIGMA = 0x3A3,
    SMALL_SIGMA = 0x3C3,
    FINAL_SIGMA = 0x3C2,
    CAPITAL_DOTTED_I = 0x130,
    COMBINING_DOT_ABOVE = 0x307
};

/* ------------------------------------------------------------------------------------ reader */

typedef struct reader {
    const uint8_t *at, *end;
    bool eval_quotes;
    bool after_cased; /* eval_quotes: the last code point not ignorable was cased */
    uint32_t pending; /* eval_quotes: second half of a lower-cased U+0130 */
} reader;

/* Next code point. Bytes that are not UTF-8 are dropped one by one, which leaves what Python's
 * errors="ignore" leaves: the rest of a broken sequence can start no other one. */
static bool read_raw(reader *r, uint32_t *c) {
    while (r->at < r->end) {
        size_t n = tw_utf8_decode(r->at, (size_t)(r->end - r->at), c);
        r->at += n ? n : 1;
        if (n) return true;
    }
    return false;
}

static bool cased_follows_raw(reader ahead) {
    uint32_t c;
    while (read_raw(&ahead, &c)) {
        tw_case_context context = tw_case_context_of(c);
        if (context != TW_CASE_IGNORABLE) return context == TW_CASE_CASED;
    }
    return false;
}

static uint32_t straight_quote(uint32_t c) {
    return c == 0x201C || c == 0x201D ? '"' : c;
}

/* Next code point of text.lower().replace("“", '"').replace("”", '"'). */
static bool read_lowered(reader *r, uint32_t *c) {
    if (r->pending) {
        *c = r->pending;
        r->pending = 0;
        return true;
    }
    if (!read_raw(r, c)) return false;
    tw_case_context context = tw_case_context_of(*c);
    if (*c == CAPITAL_SIGMA) {
        *c = r->after_cased && !cased_follows_raw(*r) ? FINAL_SIGMA : SMALL_SIGMA;
    } else if (*c == CAPITAL_DOTTED_I) {
        *c = 'i';
        r->pending = COMBINING_DOT_ABOVE;
    } else {
        *c = straight_quote(tw_simple_lower(*c));
    }
    if (context != TW_CASE_IGNORABLE) r->after_cased = context == TW_CASE_CASED;
    return true;
}

static bool read_char(reader *r, uint32_t *c) {
    return r->eval_quotes ? read_lowered(r, c) : read_raw(r, c);
}

/* ------------------------------------------------------------------------------------ pieces */

typedef struct state {
    const tw_tokenizer *tokenizer;
    reader reader;
    bool after_cased; /* in this token, the last code point not ignorable was cased */

    uint32_t word[MAX_WORD];
    uint8_t classes[MAX_WORD]; /* combining class of each */
    int n_word;                /* MAX_WORD + 1: too long, the rest is only skipped */
    int reorder_from;          /* no later mark may move before this one */

    int32_t *ids;
    int32_t n_ids, capacity;
    bool overflow;
} state;

static void put_id(state *s, int32_t id) {
    if (s->n_ids == s->capacity)
        s->overflow = true;
    else
        s->ids[s->n_ids++] = id;
}

/* Longest entry that starts at code point `from` of the word (text[at[i]..] is code point i):
 * its id, and the code point after it in `to`; -1 when there is none. */
static int32_t longest_piece(const tw_vocabulary *v, const char *text, const uint16_t *at,
                             int n_word, int from, int *to) {
    uint64_t hashes[MAX_WORD + 1];
    const char *head = from > 0 ? "##" : "";
    size_t n_head = from > 0 ? 2 : 0;
    uint64_t hash = tw_vocabulary_hash(TW_VOCABULARY_HASH_SEED, head, n_head);
    int end = from;
    while (end < n_word && n_head + at[end + 1] - at[from] <= v->longest_bytes) {
        hash = tw_vocabulary_hash(hash, text + at[end], (size_t)at[end + 1] - at[end]);
        hashes[++end] = hash;
    }
    for (; end > from; end--) {
        size_t n_tail = (size_t)at[end] - at[from];
        int32_t id =
            tw_vocabulary_find_hashed(v, hashes[end], head, n_head, text + at[from], n_tail);
        if (id >= 0) {
            *to = end;
            return id;
        }
    }
    return -1;
}

/* Ids of a word of at most MAX_WORD code points; 0 when it cannot be put together. */
static int split_word(const tw_vocabulary *v, const uint32_t *word, int n_word,
                      int32_t pieces[MAX_WORD]) {
    uint8_t text[4 * MAX_WORD];
    uint16_t at[MAX_WORD + 1];
    int n_pieces = 0;
    at[0] = 0;
    for (int i = 0; i < n_word; i++)
        at[i + 1] = (uint16_t)(at[i] + tw_utf8_encode(word[i], text + at[i]));
    for (int from = 0; from < n_word;) {
        int32_t id = longest_piece(v, (const char *)text, at, n_word, from, &from);
        if (id < 0) return 0;
        pieces[n_pieces++] = id;
    }
    return n_pieces;
}

/* ------------------------------------------------------------------------------------- words */

static void end_word(state *s) {
    int32_t pieces[MAX_WORD];
    int n_pieces = 0;
    if (s->n_word == 0) return;
    if (s->n_word <= MAX_WORD)
        n_pieces = split_word(&s->tokenizer->vocabulary, s->word, s->n_word, pieces);
    if (n_pieces == 0) put_id(s, s->tokenizer->unknown);
    for (int i = 0; i < n_pieces; i++)
        put_id(s, pieces[i]);
    s->n_word = s->reorder_from = 0;
}

/* Inserts by combining class: canonical order is a stable sort of each run without starters. */
static void add_to_word(state *s, uint32_t c, uint8_t combining_class) {
    if (s->n_word >= MAX_WORD) {
        s->n_word = MAX_WORD + 1;
        return;
    }
    int i = s->n_word++;
    if (combining_class == 0) s->reorder_from = i;
    for (; i > s->reorder_from && s->classes[i - 1] > combining_class; i--) {
        s->word[i] = s->word[i - 1];
        s->classes[i] = s->classes[i - 1];
    }
    s->word[i] = c;
    s->classes[i] = combining_class;
}

static void put_decomposed(state *s, uint32_t c) {
    tw_mark mark = tw_mark_of(c);
    if (mark.nonspacing) {
        /* An accent is dropped, but one of class 0 still keeps marks from passing it. */
        if (mark.combining_class == 0) s->reorder_from = TW_MIN(s->n_word, MAX_WORD);
        return;
    }
    if (mark.punctuation) end_word(s);
    add_to_word(s, c, mark.combining_class);
    if (mark.punctuation) end_word(s);
}

static void put_lowered(state *s, uint32_t c) {
    uint32_t parts[TW_NFD_MAX];
    int n = tw_decompose(c, parts);
    for (int i = 0; i < n; i++)
        put_decomposed(s, parts[i]);
}

/* ------------------------------------------------------------------------------------ tokens */

static void end_token(state *s) {
    end_word(s);
    s->after_cased = false;
}

/* Whether a cased letter follows in this token. Each look ahead ends at the next capital sigma at
 * the latest, so that together they read the text once more at most. */
static bool cased_follows(reader ahead) {
    uint32_t c;
    while (read_char(&ahead, &c)) {
        tw_char_kind kind = tw_char_kind_of(c);
        if (kind == TW_CHAR_DROPPED) continue;
        if (kind != TW_CHAR_OTHER) return false;
        tw_case_context context = tw_case_context_of(c);
        if (context != TW_CASE_IGNORABLE) return context == TW_CASE_CASED;
    }
    return false;
}

static void put_char(state *s, uint32_t c) {
    if (c < 0x80) { /* the common case of what follows */
        if (c != '\'' && c != '.' && c != ':' && c != '^' && c != '`')
            s->after_cased = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        put_decomposed(s, tw_simple_lower(c));
        return;
    }
    tw_case_context context = tw_case_context_of(c);
    if (c == CAPITAL_SIGMA) {
        put_lowered(s, s->after_cased && !cased_follows(s->reader) ? FINAL_SIGMA : SMALL_SIGMA);
    } else if (c == CAPITAL_DOTTED_I) {
        put_lowered(s, 'i');
        put_lowered(s, COMBINING_DOT_ABOVE);
    } else {
        put_lowered(s, tw_simple_lower(c));
    }
    if (context != TW_CASE_IGNORABLE) s->after_cased = context == TW_CASE_CASED;
}

int32_t tw_wordpiece(const tw_tokenizer *tokenizer, const char *text, size_t n_bytes,
                     bool eval_quotes, int32_t *ids, int32_t capacity, bool *overflow) {
    state s;
    uint32_t c;
    const uint8_t *bytes = (const uint8_t *)text;
    s.tokenizer = tokenizer;
    s.reader =
        (reader){.at = bytes, .end = n_bytes ? bytes + n_bytes : bytes, .eval_quotes = eval_quotes};
    s.after_cased = false;
    s.n_word = s.reorder_from = 0;
    s.ids = ids;
    s.n_ids = 0;
    s.capacity = capacity;
    s.overflow = false;
    while (!s.overflow && read_char(&s.reader, &c)) {
        switch (tw_char_kind_of(c)) {
        case TW_CHAR_DROPPED:
            break;
        case TW_CHAR_SPACE:
            end_token(&s);
            break;
        case TW_CHAR_CJK:
            end_token(&s);
            put_lowered(&s, c);
            end_token(&s);
            break;
        case TW_CHAR_OTHER:
            put_char(&s, c);
            break;
        }
    }
    end_word(&s);
    *overflow = s.overflow;
    return s.n_ids;
}
