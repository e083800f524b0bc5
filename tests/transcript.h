/* transcript.h - plays files of commands, "----", the exact output, an empty line. "#" lines are
 * comments.
 *
 *     static void command(void *data, struct str *words, size_t count, struct buf *out);
 *     transcript_play_all("gossip", &(struct transcript_player){play_new, command, play_free},
 *                         rewrite);
 *
 * Each .txt of TEST_DATA/<directory> is a play of its own. rewrite: what was put out replaces what
 * was expected, and the diff is for a person to judge. */
#pragma once
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define TRANSCRIPT_WORDS_MAX 32u

struct transcript_player {
    void *(*begin)(struct buf *out);
    void (*command)(void *data, struct str *words, size_t count);
    void (*end)(void *data);
};

static void transcript_line_(const struct transcript_player *player, void *data, struct str line)
{
    struct str words[TRANSCRIPT_WORDS_MAX], rest = line, word;
    size_t count = 0;
    while (count < TRANSCRIPT_WORDS_MAX && str_split_next(&rest, ' ', &word)) {
        if (word.n > 0) {
            words[count++] = word;
        }
    }
    if (count > 0) {
        player->command(data, words, count);
    }
}

static void transcript_read_(const char *path, struct buf *text)
{
    FILE *f = fopen(path, "r");
    char chunk[4096];
    assert_non_null(f);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        buf_put(text, chunk, n);
    }
    fclose(f);
}

static void transcript_write_(const char *path, struct str text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

static void transcript_play_(const char *path, const struct transcript_player *player, bool rewrite)
{
    struct buf text = {0}, made = {0}, want = {0}, out = {0};
    transcript_read_(path, &text);
    void *data = player->begin(&out);
    struct str rest = buf_view(&text), line;
    bool in_output = false;
    for (size_t number = 1; rest.p != NULL; number++) {
        bool more = str_split_next(&rest, '\n', &line);
        if (in_output && (!more || line.n == 0)) {
            if (!rewrite && !str_eq(buf_view(&want), buf_view(&out))) {
                print_error("%s:%zu: got\n%.*s", path, number, STRF(buf_view(&out)));
                assert_str_equal(buf_view(&out), buf_view(&want));
            }
            buf_str(&made, buf_view(&out));
            buf_clear(&out);
            buf_clear(&want);
            in_output = false;
        } else if (in_output) {
            buf_str(&want, line);
            buf_byte(&want, '\n');
            continue;
        } else if (str_eq_lit(line, "----")) {
            in_output = true;
        } else if (line.n > 0 && line.p[0] != '#') {
            transcript_line_(player, data, line);
        }
        if (rest.p != NULL) {
            buf_str(&made, line);
            buf_byte(&made, '\n');
        }
    }
    assert_int_equal(out.n, 0); /* each block ends with its output */
    player->end(data);
    if (rewrite) {
        transcript_write_(path, buf_view(&made));
    }
    struct buf *bufs[] = {&text, &made, &want, &out};
    for (size_t i = 0; i < ARRAY_SIZE(bufs); i++) {
        buf_deinit(bufs[i]);
    }
}

static int transcript_by_name_(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void transcript_play_all(const char *directory, const struct transcript_player *player,
                                bool rewrite)
{
    const char *root = getenv("TEST_DATA");
    char dir[4096], path[8192];
    snprintf(dir, sizeof(dir), "%s/%s", root != NULL ? root : "tests/data", directory);
    DIR *d = opendir(dir);
    assert_non_null(d);
    VEC(char *) names = {0};
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (str_has_suffix(str_from_cstr(e->d_name), STR(".txt"))) {
            vec_push(&names, xmemdup(e->d_name, strlen(e->d_name) + 1));
        }
    }
    closedir(d);
    assert_true(names.n > 0);
    qsort(names.v, names.n, sizeof(names.v[0]), transcript_by_name_);
    for (size_t i = 0; i < names.n; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names.v[i]);
        transcript_play_(path, player, rewrite);
        mem_free(names.v[i]);
    }
    vec_deinit(&names);
}
