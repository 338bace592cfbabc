#include "text/bpe_merges.h"

#include <stdint.h>

#ifndef TUWEN_DATA_DIR
#error "TUWEN_DATA_DIR must be the absolute path of data/"
#endif

/* As in vocab.c. */
__asm__(".pushsection .rodata.tuwen_bpe_merges,\"a\",%progbits\n"
        ".balign 16\n"
        ".global tuwen_bpe_merges_begin\n"
        ".hidden tuwen_bpe_merges_begin\n"
        "tuwen_bpe_merges_begin:\n"
        ".incbin \"" TUWEN_DATA_DIR "/openai_clip/bpe_merges.txt\"\n"
        ".global tuwen_bpe_merges_end\n"
        ".hidden tuwen_bpe_merges_end\n"
        "tuwen_bpe_merges_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const uint8_t tuwen_bpe_merges_begin[], tuwen_bpe_merges_end[];

const void *tw_builtin_bpe_merges(size_t *n_bytes) {
    *n_bytes = (size_t)(tuwen_bpe_merges_end - tuwen_bpe_merges_begin);
    return tuwen_bpe_merges_begin;
}
