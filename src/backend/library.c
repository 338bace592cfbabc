#define _XOPEN_SOURCE 700 /* realpath */

#include "backend/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The library in a folder: of several, the one whose name sorts last. */
static bool find_in_folder(const char *folder, const char *prefix, char *path, size_t n) {
    DIR *dir = opendir(folder);
    char best[256] = "";
    if (!dir) return false;
    for (const struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strlen(e->d_name) < sizeof best &&
            strcmp(e->d_name, best) > 0)
            snprintf(best, sizeof best, "%s", e->d_name);
    closedir(dir);
    return best[0] && (size_t)snprintf(path, n, "%s/%s", folder, best) < n;
}

static tw_status open_by_loader(const tw_library_place *p, void **handle, char *path, size_t n,
                                tw_error *err) {
    for (size_t i = 0; p->names[i]; i++) {
        snprintf(path, n, "%s", p->names[i]);
        *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (*handle) return TW_OK;
        /* It is there, and something that it needs is not. */
        const char *why = dlerror();
        if (strncmp(why, path, strlen(path)) != 0)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %s (%s)", path, why, p->source);
    }
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "backend %s: %s is not installed; --library or %s can name it (%s)", p->backend,
                   p->names[0], p->variable, p->source);
}

/* The machine an ELF file is for; 0: no such file. */
static unsigned elf_machine(const char *path) {
    unsigned char head[20] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (n < sizeof head || memcmp(head, "\177ELF", 4) != 0) return 0;
    return head[5] == 1 ? head[18] | head[19] << 8 : head[18] << 8 | head[19];
}

static const char *machine_name(unsigned machine) {
    static const struct {
        unsigned number;
        const char *name;
    } machines[] = {{3, "x86"},     {21, "ppc64"},  {22, "s390x"},   {40, "ARM"},
                    {62, "x86-64"}, {183, "ARM64"}, {243, "RISC-V"}, {258, "LoongArch"}};
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (machines[i].number == machine) return machines[i].name;
    return "another machine";
}

/* The loader only says that it cannot open a file of another machine. */
static tw_status explain_failure(const tw_library_place *p, const char *path, const char *said,
                                 tw_error *err) {
    const unsigned theirs = elf_machine(path), ours = elf_machine("/proc/self/exe");
    if (!theirs)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: not a shared library (%s)", path, p->source);
    if (ours && theirs != ours)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: built for %s, this is %s (%s)", path,
                       machine_name(theirs), machine_name(ours), p->source);
    bool named = strncmp(said, path, strlen(path)) == 0;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s%s%s (%s)", named ? "" : path, named ? "" : ": ",
                   said, p->source);
}

tw_status tw_library_open(const tw_library_place *p, const char *library, void **handle, char *path,
                          size_t n, tw_error *err) {
    struct stat st;
    char found[1024], resolved[PATH_MAX];
    const char *variable = getenv(p->variable);
    if (!library && variable && variable[0]) library = variable;
    if (!library) return open_by_loader(p, handle, path, n, err);
    if (stat(library, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (!find_in_folder(library, p->prefix, found, sizeof found))
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no %s* in this folder", library,
                           p->prefix);
        library = found;
    }
    if (!realpath(library, resolved) || strlen(resolved) >= n)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no such library", library);
    snprintf(path, n, "%s", resolved);
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return *handle ? TW_OK : explain_failure(p, path, dlerror(), err);
}
