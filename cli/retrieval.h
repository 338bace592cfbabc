/* A retrieval set: where it is, its captions and its pictures. */
#ifndef CLI_RETRIEVAL_H
#define CLI_RETRIEVAL_H

#include "dataset/picture_set.h"
#include "inputs.h"

typedef struct cli_retrieval {
    const char *data, *split, *image_data, *text_data, *errors;
    /* at work */
    char *image_path, *text_path; /* NULL: that side is not wanted */
    tw_annotations annotations;
    tw_picture_set set;
    tw_left_out left_out; /* lines and entries */
    cli_skips skips;
} cli_retrieval;

extern const cli_option cli_retrieval_options[];

/* Finds the files of --data; those given by name go before. Returns CLI_CONTINUE or a status. */
int cli_retrieval_find(cli_retrieval *r);

/* Reads the captions and opens the pictures of the paths that are set, opens the list of skipped
 * inputs and puts those into it that could not be read. Returns CLI_CONTINUE or a status. */
int cli_retrieval_open(cli_retrieval *r);
void cli_retrieval_free(cli_retrieval *r);

#endif
