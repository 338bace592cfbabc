/* Character references of HTML, as Python's html.unescape() and ftfy resolve them. */
#ifndef TEXT_ENTITIES_H
#define TEXT_ENTITIES_H

#include "text/codepoints.h"

enum {
    TW_ENTITY_CLOSED = 1, /* `name;` is one of HTML5 */
    TW_ENTITY_OPEN = 2,   /* `name` without semicolon is */
    TW_ENTITY_UPPER = 4   /* `name;` is an upper-case spelling that only ftfy takes */
};

typedef struct tw_entity {
    char name[32]; /* without & and ; */
    uint8_t flags;
    uint32_t c[3]; /* 0 = no more */
} tw_entity;

extern const tw_entity tw_entities[]; /* sorted by name */
extern const size_t tw_n_entities;

/* html.unescape(). `out` is replaced. */
void tw_unescape_html(const tw_codepoints *in, tw_codepoints *out);

/* ftfy.fixes.unescape_html(): only references closed by a semicolon. `out` is replaced. */
void tw_unescape_html_closed(const tw_codepoints *in, tw_codepoints *out);

#endif
