/* Sources: Chinese-CLIP cn_clip/clip/utils.py (_MODELS, _MODEL_INFO); OpenAI CLIP clip/clip.py
 * (_MODELS; the directory is the SHA-256); open_clip src/open_clip/pretrained.py (tags, addresses,
 * statistics, which weights want QuickGELU; a release's name ends in the first digits of its
 * SHA-256); MetaCLIP's pretrained.py (its SHA-256); modelscope modelscope/hub/file_download.py
 * (form of ModelScope's address). */
#include "fetch/names.h"

#include "base/size.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CHINESE(n, repo, f, text)                                                                  \
    {                                                                                              \
        .family = "chinese-clip", .name = n, .alias = n "@" text, .place = TW_PLACE_HUB,           \
        .owner = "OFA-Sys", .repository = repo, .file = f, .arch = n "@" text,                     \
        .convert_as = n "@" text                                                                   \
    }
#define OPENAI(n, f, sha)                                                                          \
    { .family = "openai", .name = n, .place = TW_PLACE_OPENAI, .file = f, .sha256 = sha, .arch = n }
#define LAION(model, tag, repo)                                                                    \
    {                                                                                              \
        .family = "open_clip", .name = model "/" tag, .place = TW_PLACE_HUB, .owner = "laion",     \
        .repository = repo, .file = "open_clip_pytorch_model.bin", .arch = model,                  \
        .config = "open_clip_config.json"                                                          \
    }
#define GITHUB(model, tag, f, sha, ending, other)                                                  \
    {                                                                                              \
        .family = "open_clip", .name = model "/" tag, .alias = other, .place = TW_PLACE_GITHUB,    \
        .file = f sha ending, .sha256 = sha, .arch = model, .convert_as = model                    \
    }
#define META(model, tag, f, sha)                                                                   \
    {                                                                                              \
        .family = "open_clip", .name = model "/" tag, .place = TW_PLACE_META, .file = f,           \
        .sha256 = sha, .arch = model, .convert_as = model                                          \
    }
#define DFN(model, tag, repo, how)                                                                 \
    {                                                                                              \
        .family = "open_clip", .name = model "/" tag, .place = TW_PLACE_HUB, .owner = "apple",     \
        .repository = repo, .file = "open_clip_pytorch_model.bin", .arch = model,                  \
        .convert_as = model, .recipe = how                                                         \
    }

const tw_release tw_releases[] = {
    CHINESE("ViT-B-16", "chinese-clip-vit-base-patch16", "clip_cn_vit-b-16.pt",
            "RoBERTa-wwm-ext-base-chinese"),
    CHINESE("ViT-L-14", "chinese-clip-vit-large-patch14", "clip_cn_vit-l-14.pt",
            "RoBERTa-wwm-ext-base-chinese"),
    CHINESE("ViT-L-14-336", "chinese-clip-vit-large-patch14-336px", "clip_cn_vit-l-14-336.pt",
            "RoBERTa-wwm-ext-base-chinese"),
    CHINESE("ViT-H-14", "chinese-clip-vit-huge-patch14", "clip_cn_vit-h-14.pt",
            "RoBERTa-wwm-ext-large-chinese"),
    CHINESE("RN50", "chinese-clip-rn50", "clip_cn_rn50.pt", "RBT3-chinese"),

    OPENAI("RN50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    OPENAI("RN101", "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    OPENAI("RN50x4", "RN50x4.pt",
           "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    OPENAI("RN50x16", "RN50x16.pt",
           "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    OPENAI("RN50x64", "RN50x64.pt",
           "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    OPENAI("ViT-B/32", "ViT-B-32.pt",
           "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    OPENAI("ViT-B/16", "ViT-B-16.pt",
           "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    OPENAI("ViT-L/14", "ViT-L-14.pt",
           "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    OPENAI("ViT-L/14@336px", "ViT-L-14-336px.pt",
           "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),

    GITHUB("RN50-quickgelu", "yfcc15m", "rn50-quickgelu-yfcc15m-", "455df137", ".pt",
           "RN50/yfcc15m"),
    GITHUB("RN50-quickgelu", "cc12m", "rn50-quickgelu-cc12m-", "f000538c", ".pt", "RN50/cc12m"),
    GITHUB("RN101-quickgelu", "yfcc15m", "rn101-quickgelu-yfcc15m-", "3e04b30e", ".pt",
           "RN101/yfcc15m"),
    GITHUB("ViT-B-32-quickgelu", "laion400m_e31", "vit_b_32-quickgelu-laion400m_e31-", "d867053b",
           ".pt", "ViT-B-32/laion400m_e31"),
    GITHUB("ViT-B-32-quickgelu", "laion400m_e32", "vit_b_32-quickgelu-laion400m_e32-", "46683a32",
           ".pt", "ViT-B-32/laion400m_e32"),
    GITHUB("ViT-B-32", "laion2b_e16", "vit_b_32-laion2b_e16-", "af8dbd0c", ".pth", NULL),
    GITHUB("ViT-B-16", "laion400m_e31", "vit_b_16-laion400m_e31-", "00efa78f", ".pt", NULL),
    GITHUB("ViT-B-16", "laion400m_e32", "vit_b_16-laion400m_e32-", "55e67d44", ".pt", NULL),
    GITHUB("ViT-B-16-plus-240", "laion400m_e31", "vit_b_16_plus_240-laion400m_e31-", "8fb26589",
           ".pt", NULL),
    GITHUB("ViT-B-16-plus-240", "laion400m_e32", "vit_b_16_plus_240-laion400m_e32-", "699c4b84",
           ".pt", NULL),
    GITHUB("ViT-L-14", "laion400m_e31", "vit_l_14-laion400m_e31-", "69988bb6", ".pt", NULL),
    GITHUB("ViT-L-14", "laion400m_e32", "vit_l_14-laion400m_e32-", "3d133497", ".pt", NULL),

    LAION("ViT-B-32", "laion2b_s34b_b79k", "CLIP-ViT-B-32-laion2B-s34B-b79K"),
    LAION("ViT-B-32", "datacomp_xl_s13b_b90k", "CLIP-ViT-B-32-DataComp.XL-s13B-b90K"),
    LAION("ViT-B-32-256", "datacomp_s34b_b86k", "CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"),
    LAION("ViT-B-16", "laion2b_s34b_b88k", "CLIP-ViT-B-16-laion2B-s34B-b88K"),
    LAION("ViT-B-16", "datacomp_xl_s13b_b90k", "CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
    {.family = "open_clip",
     .name = "ViT-L-14/laion2b_s32b_b82k",
     .place = TW_PLACE_HUB,
     .owner = "laion",
     .repository = "CLIP-ViT-L-14-laion2B-s32B-b82K",
     .file = "open_clip_pytorch_model.bin",
     .arch = "ViT-L-14",
     .config = "open_clip_config.json",
     .recipe = TW_RELEASE_HALF},
    LAION("ViT-L-14", "datacomp_xl_s13b_b90k", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    LAION("ViT-H-14", "laion2b_s32b_b79k", "CLIP-ViT-H-14-laion2B-s32B-b79K"),
    LAION("ViT-g-14", "laion2b_s12b_b42k", "CLIP-ViT-g-14-laion2B-s12B-b42K"),
    LAION("ViT-g-14", "laion2b_s34b_b88k", "CLIP-ViT-g-14-laion2B-s34B-b88K"),
    LAION("ViT-bigG-14", "laion2b_s39b_b160k", "CLIP-ViT-bigG-14-laion2B-39B-b160k"),

    META("ViT-B-32-quickgelu", "metaclip_400m", "b32_400m.pt",
         "3c68642594a329afc1ec0fe489ee2b58ab19c9d0556ccf7c404a59baa0762d71"),
    META("ViT-B-32-quickgelu", "metaclip_fullcc", "b32_fullcc2.5b.pt",
         "885b7ec11fe07a9826e2e6812d70e5011918e32fe9b12136b49d5dded92b4386"),
    META("ViT-B-16-quickgelu", "metaclip_400m", "b16_400m.pt",
         "68dfb5996c52a8f4fecb9bd16601e97e1895236645082778bd9cede8429a8d49"),
    META("ViT-B-16-quickgelu", "metaclip_fullcc", "b16_fullcc2.5b.pt",
         "512ea0fb9f2cf88d027e96e4674247a1a91a96af18abc2e2fcdb8008c551e04b"),
    META("ViT-L-14-quickgelu", "metaclip_400m", "l14_400m.pt",
         "51c782959f920b030779e494517b8d545f56794df6b0a2796a4c310455a361be"),
    META("ViT-L-14-quickgelu", "metaclip_fullcc", "l14_fullcc2.5b.pt",
         "ce24750710544ee288ef0abdead2016730da1893a1d07447bda3a75e1c148f97"),
    META("ViT-H-14-quickgelu", "metaclip_fullcc", "h14_fullcc2.5b.pt",
         "1286807d5cc8d9a0b12563b47474efb53b9522eb3d7eac5a9a5d39c3a776ad5c"),
    META("ViT-bigG-14-quickgelu", "metaclip_fullcc", "G14_fullcc2.5b.pt",
         "5fe2b83c7439e0caa2c855dec9a2eaa54f17f3ced288218564b640ca7953447f"),
    META("ViT-H-14", "metaclip_altogether", "h14_v1.2_altogether.pt",
         "c4ee0a62c58a38867df142d7be3b0aa1988d6ac49293971b177a03ead6092cc6"),

    DFN("ViT-B-16-quickgelu", "dfn2b", "DFN2B-CLIP-ViT-B-16", TW_RELEASE_USUAL),
    DFN("ViT-L-14-quickgelu", "dfn2b", "DFN2B-CLIP-ViT-L-14", TW_RELEASE_USUAL),
    DFN("ViT-H-14-quickgelu", "dfn5b", "DFN5B-CLIP-ViT-H-14", TW_RELEASE_SQUASHED),
    DFN("ViT-H-14-378-quickgelu", "dfn5b", "DFN5B-CLIP-ViT-H-14-378", TW_RELEASE_SQUASHED),
};
const size_t tw_n_releases = TW_COUNT(tw_releases);

/* ------------------------------------------------------------------------------------- names */

static bool has_name(const tw_release *r, const char *name) {
    return strcmp(r->name, name) == 0 || (r->alias && strcmp(r->alias, name) == 0);
}

/* What follows "FAMILY/", or NULL. */
static const char *after_family(const tw_release *r, const char *name) {
    size_t n = strlen(r->family);
    return strncmp(name, r->family, n) == 0 && name[n] == '/' ? name + n + 1 : NULL;
}

/* Letters and digits alone, in lower case. */
static void squeeze(const char *text, char *out, size_t n_bytes) {
    size_t n = 0;
    for (; *text && n + 1 < n_bytes; text++)
        if (isalnum((unsigned char)*text)) out[n++] = (char)tolower((unsigned char)*text);
    out[n] = '\0';
}

typedef enum likeness { PART_OF_NAME, HAS_NAME, LETTERS_IN_ORDER, N_LIKENESSES } likeness;

/* Whether `asked`, squeezed, may mean a release. */
static bool resembles(const tw_release *r, const char *asked, likeness how) {
    char full[160], whole[160], name[80];
    snprintf(full, sizeof full, "%s/%s", r->family, r->name);
    squeeze(full, whole, sizeof whole);
    squeeze(r->name, name, sizeof name);
    if (how == PART_OF_NAME) return strstr(whole, asked) != NULL;
    if (how == HAS_NAME) return strstr(asked, name) != NULL;
    for (const char *c = whole; *c && *asked; c++)
        asked += *c == *asked;
    return !*asked;
}

static void list_name(char *list, size_t n_bytes, const tw_release *r) {
    size_t n = strlen(list);
    snprintf(list + n, n_bytes - n, "%s%s/%s", n ? ", " : "", r->family, r->name);
}

static tw_status refuse_name(const char *name, tw_error *err) {
    char list[320] = "", asked[80];
    size_t n_listed = 0;
    squeeze(name, asked, sizeof asked);
    for (int how = 0; how < N_LIKENESSES && n_listed == 0; how++)
        for (size_t i = 0; i < tw_n_releases && n_listed < 5; i++) {
            if (!resembles(&tw_releases[i], asked, (likeness)how)) continue;
            list_name(list, sizeof list, &tw_releases[i]);
            n_listed++;
        }
    return tw_fail(err, TW_ERR_ARGUMENT, "unknown name '%.64s'%s%s (see tuwen pull --list)", name,
                   n_listed ? ", near ones are " : "", list);
}

tw_status tw_release_find(const char *name, const tw_release **out, tw_error *err) {
    char list[160] = "";
    size_t n_found = 0;
    for (size_t i = 0; i < tw_n_releases; i++) {
        const tw_release *r = &tw_releases[i];
        const char *rest = after_family(r, name);
        if (!has_name(r, name) && !(rest && has_name(r, rest))) continue;
        *out = r;
        list_name(list, sizeof list, r);
        n_found++;
    }
    if (n_found == 1) return TW_OK;
    if (n_found == 0) return refuse_name(name, err);
    return tw_fail(err, TW_ERR_ARGUMENT, "'%.64s' is the name of several: %s", name, list);
}

/* --------------------------------------------------------------------------------- addresses */

static const char *official_base(const tw_release *r, tw_hub hub) {
    switch (r->place) {
    case TW_PLACE_OPENAI:
        return "https://openaipublic.azureedge.net";
    case TW_PLACE_GITHUB:
        return "https://github.com";
    case TW_PLACE_META:
        return "https://dl.fbaipublicfiles.com";
    case TW_PLACE_HUB:
        break;
    }
    return hub == TW_HUB_MODELSCOPE ? "https://www.modelscope.cn" : "https://huggingface.co";
}

static int write_path(const tw_release *r, tw_hub hub, const char *file, char *out, size_t n) {
    switch (r->place) {
    case TW_PLACE_OPENAI:
        return snprintf(out, n, "/clip/models/%s/%s", r->sha256, file);
    case TW_PLACE_GITHUB:
        return snprintf(out, n, "/mlfoundations/open_clip/releases/download/v0.2-weights/%s", file);
    case TW_PLACE_META:
        return snprintf(out, n, "/MMPT/metaclip/%s", file);
    case TW_PLACE_HUB:
        break;
    }
    if (hub == TW_HUB_MODELSCOPE)
        return snprintf(out, n, "/api/v1/models/AI-ModelScope/%s/repo?Revision=master&FilePath=%s",
                        r->repository, file);
    return snprintf(out, n, "/%s/%s/resolve/main/%s", r->owner, r->repository, file);
}

tw_status tw_release_url(const tw_release *r, tw_hub hub, const char *base, const char *file,
                         char out[TW_URL_BYTES], tw_error *err) {
    char path[512];
    if (hub == TW_HUB_MODELSCOPE && strcmp(r->family, "chinese-clip") != 0)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "--hub modelscope: has Chinese-CLIP's alone, not %s/%s", r->family, r->name);
    write_path(r, hub, file, path, sizeof path);
    return tw_url_join(base[0] ? base : official_base(r, hub), path, out, err);
}

void tw_release_folder(const tw_release *r, tw_hub hub, char *out, size_t n_bytes) {
    if (r->place != TW_PLACE_HUB)
        snprintf(out, n_bytes, "%s", r->place == TW_PLACE_META ? "metaclip" : r->family);
    else
        snprintf(out, n_bytes, "%s/%s", hub == TW_HUB_MODELSCOPE ? "AI-ModelScope" : r->owner,
                 r->repository);
}

bool tw_sha256_agrees(const char *sha256, const char *expected) {
    return strncasecmp(sha256, expected, strlen(expected)) == 0;
}
