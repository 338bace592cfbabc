/* tuwen pull --list: what can be pulled by name. */
#ifndef CLI_PULL_LIST_H
#define CLI_PULL_LIST_H

#include <stdbool.h>

/* Returns the status to exit with. */
int cli_list_releases(bool json);

#endif
