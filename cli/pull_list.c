#include "pull_list.h"

#include "args.h"
#include "console.h"
#include "fetch/names.h"
#include "output.h"

#include <stdio.h>
#include <string.h>

static void put_known(tw_buffer *b, const char *key, const char *value) {
    if (value)
        cli_json_member(b, key, value);
    else
        tw_buffer_printf(b, ", \"%s\": null", key);
}

static tw_status put_json(tw_buffer *b, const tw_release *r, tw_error *err) {
    char name[160], url[TW_URL_BYTES];
    snprintf(name, sizeof name, "%s/%s", r->family, r->name);
    TW_TRY(tw_release_url(r, TW_HUB_HUGGINGFACE, "", r->file, url, err));
    tw_buffer_puts(b, "{");
    cli_json_member(b, "name", name);
    put_known(b, "alias", r->alias);
    cli_json_member(b, "architecture", r->arch);
    cli_json_member(b, "file", r->file);
    cli_json_member(b, "url", url);
    bool both = tw_release_url(r, TW_HUB_MODELSCOPE, "", r->file, url, NULL) == TW_OK;
    put_known(b, "modelscope_url", both ? url : NULL);
    put_known(b, "sha256", r->sha256);
    tw_buffer_puts(b, ", \"bytes\": null}"); /* nobody publishes them but the servers */
    return TW_OK;
}

static tw_status put_text(tw_buffer *b, const tw_release *r, tw_error *err) {
    char name[160], url[TW_URL_BYTES];
    tw_url u;
    snprintf(name, sizeof name, "%s/%s", r->family, r->name);
    TW_TRY(tw_release_url(r, TW_HUB_HUGGINGFACE, "", r->file, url, err));
    TW_TRY(tw_url_parse(url, &u, err));
    cli_put_cell(b, name, 46, false, false);
    tw_buffer_printf(b, " %-8.8s  %s", r->sha256 ? r->sha256 : "-", u.host);
    if (r->owner) tw_buffer_printf(b, "/%s/%s", r->owner, r->repository);
    tw_buffer_printf(b, " %s\n", r->file);
    return TW_OK;
}

int cli_list_releases(bool json) {
    tw_buffer b = {0};
    tw_error err = TW_ERROR_INIT;
    tw_status status = TW_OK;
    if (json)
        tw_buffer_puts(&b, "{\"releases\": [");
    else
        tw_buffer_puts(&b,
                       "name                                           SHA-256   source, file\n");
    for (size_t i = 0; i < tw_n_releases && status == TW_OK; i++) {
        if (json && i) tw_buffer_puts(&b, ", ");
        status = (json ? put_json : put_text)(&b, &tw_releases[i], &err);
    }
    if (json) tw_buffer_puts(&b, "]}\n");
    int code = status == TW_OK ? cli_print(&b) : cli_fail(&err);
    tw_buffer_free(&b);
    return code == CLI_CONTINUE ? CLI_DONE : code;
}
