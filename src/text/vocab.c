#include "text/vocab.h"

#include <stdint.h>

#ifndef TUWEN_DATA_DIR
#error "TUWEN_DATA_DIR must be the absolute path of data/"
#endif

/* The assembler puts the file in as it is: no generated source, no tool at build time. Global and
 * hidden rather than local, so that link-time optimisation may split this file; "%progbits" is
 * the spelling that every ELF assembler takes. */
__asm__(".pushsection .rodata.tuwen_vocab,\"a\",%progbits\n"
        ".balign 16\n"
        ".global tuwen_vocab_begin\n"
        ".hidden tuwen_vocab_begin\n"
        "tuwen_vocab_begin:\n"
        ".incbin \"" TUWEN_DATA_DIR "/chinese_clip/vocab.txt\"\n"
        ".global tuwen_vocab_end\n"
        ".hidden tuwen_vocab_end\n"
        "tuwen_vocab_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const uint8_t tuwen_vocab_begin[], tuwen_vocab_end[];

const void *tw_builtin_vocab(size_t *n_bytes) {
    *n_bytes = (size_t)(tuwen_vocab_end - tuwen_vocab_begin);
    return tuwen_vocab_begin;
}
