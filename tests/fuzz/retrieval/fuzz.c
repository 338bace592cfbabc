/* The lines of a retrieval set: annotations (either way), predictions, features, pictures. Refused
 * with a message, or whole. The readers belong to the command, so their sources are taken in. The
 * input is read as each of them; predictions and the annotations they are for are two halves of it.
 */
#include "dataset/strings.c" /* first: it asks for the GNU functions */

#include "dataset/base64.c"
#include "dataset/records.c"

#include "dataset/id_map.c"
#define grow grow_array
#include "dataset/annotations.c"
#undef grow
#define read_line read_feature_line
#include "dataset/feature_file.c"
#undef read_line
#define hash hash_of_python
#define insert insert_python
#include "eval/python_set.c"
#undef hash
#undef insert
#include "eval/recall.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static tw_record_lines lines_of(const uint8_t *data, size_t n_bytes) {
    return (tw_record_lines){.name = "fuzz", .data = data, .n_bytes = n_bytes};
}

static void must(bool ok) {
    if (!ok) abort();
}

static void read_features(const uint8_t *data, size_t n_bytes) {
    tw_feature_file f;
    tw_error err = TW_ERROR_INIT;
    if (tw_feature_file_parse(data, n_bytes, "fuzz", "image_id", &f, &err) != TW_OK) {
        must(err.message[0]);
        return;
    }
    if (!f.dim) return;
    int64_t ids[3];
    float *rows = malloc(3 * f.dim * sizeof *rows);
    size_t n = 1;
    while (n && tw_feature_file_next(&f, 3, ids, rows, &n, &err) == TW_OK)
        must(n <= 3);
    must(n == 0 || err.message[0]);
    free(rows);
}

static void check(const tw_annotations *a) {
    size_t end = 0;
    for (size_t i = 0; i < a->n; i++) {
        must(a->ends[i] >= end && a->ends[i] <= a->n_answers);
        end = a->ends[i];
    }
    must(end == a->n_answers);
}

static void evaluate(const tw_annotations *a, tw_direction way, const uint8_t *data, size_t n) {
    tw_evaluation e;
    tw_record_lines given = lines_of(data, n);
    tw_error err = TW_ERROR_INIT;
    if (tw_evaluate_lines(a, &given, way, &e, &err) != TW_OK) {
        must(err.message[0]);
        return;
    }
    must(e.success != (e.message.n_bytes > 0));
    must(e.recall.n_hits[0] <= e.recall.n_hits[1] && e.recall.n_hits[2] <= e.recall.n_queries);
    tw_buffer b = {0};
    if (e.success)
        tw_recall_put_json(&b, &e.recall);
    else
        tw_evaluation_put_failure(&b, e.message.data, e.message.n_bytes);
    tw_json_doc *doc;
    must(tw_json_parse(b.data, b.n_bytes, &doc, NULL) == TW_OK);
    tw_json_free(doc);
    tw_buffer_free(&b);
    tw_evaluation_free(&e);
}

static void read_pictures(const uint8_t *data, size_t n_bytes) {
    tw_record_lines lines = lines_of(data, n_bytes);
    tw_record_line line, key, value;
    while (tw_record_lines_next(&lines, &line)) {
        tw_error err = TW_ERROR_INIT;
        int64_t id;
        if (tw_record_split(&lines, line, &key, &value, &err) != TW_OK) {
            must(err.message[0]);
            continue;
        }
        (void)tw_record_decimal((const uint8_t *)key.text, key.n_bytes, &id);
        size_t room = value.n_bytes / 4 * 3 + 3, n;
        uint8_t *decoded = malloc(room);
        tw_status status = tw_base64_decode(value.text, value.n_bytes, decoded, &n, &err);
        must(n <= room && (status == TW_OK || err.message[0]));
        free(decoded);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    read_pictures(data, n_bytes);
    read_features(data, n_bytes);
    /* An empty line parts annotations from predictions. */
    const uint8_t *gap = n_bytes ? memmem(data, n_bytes, "\n\n", 2) : NULL;
    size_t n_first = gap ? (size_t)(gap - data) + 1 : n_bytes;
    const uint8_t *rest = gap ? gap + 2 : data;
    size_t n_rest = gap ? n_bytes - n_first - 1 : n_bytes;
    for (int kind = TW_TEXTS_OF_IMAGES; kind <= TW_TEXTS; kind++) {
        tw_annotations a, turned;
        tw_left_out left_out = {0};
        tw_record_lines lines = lines_of(data, n_first);
        tw_error err = TW_ERROR_INIT;
        must(tw_annotations_parse(&lines, (tw_annotation_kind)kind, &a, &left_out, &err) == TW_OK);
        check(&a);
        must(kind != TW_TEXTS || (a.texts.n == a.n && a.files.n == a.n));
        evaluate(&a, kind == TW_TEXTS_OF_IMAGES ? TW_IMAGE_TO_TEXT : TW_TEXT_TO_IMAGE, rest,
                 n_rest);
        must(tw_annotations_turn(&a, &turned, &err) == TW_OK && turned.n_answers == a.n_answers);
        check(&turned);
        tw_annotations_free(&turned);
        tw_annotations_free(&a);
        tw_left_out_free(&left_out);
    }
    return 0;
}
