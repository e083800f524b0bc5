/* One zlib stream each way. The reader is a machine over 512-byte blocks: header, content, padding,
 * until a block of zeros; the gzip trailer is zlib's to check. Only plain files count. */
#include "fsm/archive.h"

#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/mem.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <zlib.h>

#define BLOCK_SIZE ARCHIVE_TAR_BLOCK_SIZE
#define WINDOW_GZIP (15 + 16) /* zlib: the largest window, in gzip's format */
#define SHA256_SIZE 32u
#define GZIP_HEADER_SIZE 10u

/* Offsets in a tar header (ustar, POSIX.1-1988). */
#define TAR_NAME 0
#define TAR_NAME_SIZE 100u
#define TAR_MODE 100
#define TAR_UID 108
#define TAR_GID 116
#define TAR_SIZE 124
#define TAR_MTIME 136
#define TAR_SUM 148
#define TAR_TYPE 156
#define TAR_MAGIC 257

enum file { FILE_META, FILE_STATE, FILE_SUMS, FILE_SKIPPED };

static const struct str file_names[] = {STR_INIT("meta.json"), STR_INIT("state.bin"),
                                        STR_INIT("SHA256SUMS")};

static void digest_new(EVP_MD_CTX **ret_digest)
{
    *ret_digest = EVP_MD_CTX_new();
    ASSERT(*ret_digest != NULL && EVP_DigestInit_ex(*ret_digest, EVP_sha256(), NULL) == 1);
}

static void digest_add(EVP_MD_CTX *digest, struct str bytes)
{
    ASSERT(EVP_DigestUpdate(digest, bytes.p != NULL ? bytes.p : "", bytes.n) == 1);
}

/* "<64 hexadecimal digits>  name\n" */
static void sum_line(struct buf *to, EVP_MD_CTX *digest, enum file file)
{
    unsigned char sum[SHA256_SIZE];
    ASSERT(EVP_DigestFinal_ex(digest, sum, NULL) == 1);
    hex_encode(to, str_make(sum, sizeof(sum)));
    buf_printf(to, "  %.*s\n", STRF(file_names[file]));
}

/* --- reading --------------------------------------------------------------------------------- */

struct archive_reader {
    z_stream z;
    archive_bytes_fn state;
    void *data;
    unsigned char block[BLOCK_SIZE];
    size_t block_size; /* filled so far */
    enum file file;
    uint64_t left;    /* of the file's content */
    uint64_t padding; /* after it */
    bool has_ended;   /* a block of zeros: nothing counts any more */
    bool z_ended;     /* gzip's trailer was right */
    bool is_foreign;  /* what came is no gzip header */
    uint64_t fed;
    struct buf meta, sums;
    EVP_MD_CTX *meta_digest, *state_digest;
    unsigned char out[ARCHIVE_CHUNK_SIZE];
};

struct archive_reader *archive_reader_new(archive_bytes_fn state, void *data)
{
    struct archive_reader *r = xcalloc(1, sizeof(*r));
    r->state = state;
    r->data = data;
    buf_init(&r->meta, ARCHIVE_META_SIZE_MAX);
    buf_init(&r->sums, ARCHIVE_SUMS_SIZE_MAX);
    digest_new(&r->meta_digest);
    digest_new(&r->state_digest);
    ASSERT(inflateInit2(&r->z, WINDOW_GZIP) == Z_OK);
    return r;
}

struct archive_reader *archive_reader_free(struct archive_reader *r)
{
    if (r != NULL) {
        (void)inflateEnd(&r->z);
        buf_deinit(&r->meta);
        buf_deinit(&r->sums);
        EVP_MD_CTX_free(r->meta_digest);
        EVP_MD_CTX_free(r->state_digest);
        mem_free(r);
    }
    return NULL;
}

/* Says what was being read. */
static int damaged(const struct archive_reader *r, struct err *err, const char *what)
{
    static const char *const stages[] = {
        [FILE_META] = "failed to read snapshot metadata",
        [FILE_STATE] = "failed to read or write snapshot data",
        [FILE_SUMS] = "failed to read snapshot hashes",
        [FILE_SKIPPED] = "failed reading snapshot",
    };
    return err_set(err, ERR_CORRUPT, "failed to read snapshot file: %s: %s",
                   stages[r->left > 0 ? r->file : FILE_SKIPPED], what);
}

/* A number of a header: octal digits between blanks and NULs. */
static int tar_number(const unsigned char *p, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = 0;
    while (i < size && p[i] == ' ') {
        i++;
    }
    for (; i < size && p[i] != '\0' && p[i] != ' '; i++) {
        if (p[i] < '0' || p[i] > '7') {
            return -ERR_INVALID;
        }
        value = value * 8 + (uint64_t)(p[i] - '0'); /* 12 digits have room */
    }
    *ret_value = value;
    return 0;
}

static uint64_t tar_sum(const unsigned char block[BLOCK_SIZE])
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        sum += i >= TAR_SUM && i < TAR_SUM + 8 ? ' ' : block[i];
    }
    return sum;
}

static bool block_is_zero(const unsigned char block[BLOCK_SIZE])
{
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        if (block[i] != 0) {
            return false;
        }
    }
    return true;
}

static int reader_header(struct archive_reader *r, struct err *err)
{
    const unsigned char *b = r->block;
    uint64_t sum;
    if (block_is_zero(b)) {
        r->has_ended = true;
        return 0;
    }
    if (tar_number(b + TAR_SUM, 8, &sum) < 0 || sum != tar_sum(b) ||
        tar_number(b + TAR_SIZE, 12, &r->left) < 0) {
        return damaged(r, err, "archive/tar: invalid tar header");
    }
    r->padding = (BLOCK_SIZE - r->left % BLOCK_SIZE) % BLOCK_SIZE;
    unsigned char type = b[TAR_TYPE];
    if (type == 'x' || type == 'g') { /* attributes of the next file, which we do without */
        r->file = FILE_SKIPPED;
        return 0;
    }
    struct str name = str_make(b + TAR_NAME, strnlen((const char *)b + TAR_NAME, TAR_NAME_SIZE));
    for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
        if (str_eq(name, file_names[i]) && (type == '0' || type == '\0')) {
            r->file = (enum file)i;
            return 0;
        }
    }
    return err_set(err, ERR_CORRUPT,
                   "failed to read snapshot file: unexpected file \"%.*s\" in snapshot",
                   STRF(name));
}

static int reader_content(struct archive_reader *r, struct str bytes, struct err *err)
{
    switch (r->file) {
    case FILE_META:
        digest_add(r->meta_digest, bytes);
        buf_str(&r->meta, bytes);
        return r->meta.failed ? damaged(r, err, "meta.json is too large") : 0;
    case FILE_STATE:
        digest_add(r->state_digest, bytes);
        if (r->state != NULL) {
            int rc = r->state(r->data, bytes);
            return rc < 0 ? err_set(err, -rc,
                                    "failed to read snapshot file: failed to read or "
                                    "write snapshot data: %s",
                                    err_code_text(-rc))
                          : 0;
        }
        return 0;
    case FILE_SUMS:
        buf_str(&r->sums, bytes);
        return r->sums.failed ? damaged(r, err, "SHA256SUMS is too large") : 0;
    case FILE_SKIPPED:
        return 0;
    }
    return 0;
}

/* Bytes of the tar. */
static int reader_take(struct archive_reader *r, struct str bytes, struct err *err)
{
    while (bytes.n > 0 && !r->has_ended) {
        size_t n;
        int rc = 0;
        if (r->left > 0) {
            n = r->left < bytes.n ? (size_t)r->left : bytes.n;
            rc = reader_content(r, str_first(bytes, n), err);
            r->left -= n;
        } else if (r->padding > 0) {
            n = r->padding < bytes.n ? (size_t)r->padding : bytes.n;
            r->padding -= n;
        } else {
            n = MIN(BLOCK_SIZE - r->block_size, bytes.n);
            memcpy(r->block + r->block_size, bytes.p, n);
            r->block_size += n;
            if (r->block_size == BLOCK_SIZE) {
                r->block_size = 0;
                rc = reader_header(r, err);
            }
        }
        if (rc < 0) {
            return rc;
        }
        bytes = str_from(bytes, n);
    }
    return 0;
}

/* Until all input is used and all output that zlib has of it is taken. */
int archive_reader_feed(struct archive_reader *r, struct str bytes, struct err *err)
{
    r->fed += bytes.n;
    while (!r->z_ended && !r->is_foreign) {
        size_t piece = MIN(bytes.n, (size_t)1 << 30);
        r->z.next_in = (unsigned char *)(bytes.p != NULL ? bytes.p : "");
        r->z.avail_in = (unsigned)piece;
        r->z.next_out = r->out;
        r->z.avail_out = sizeof(r->out);
        int rc = inflate(&r->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            if (r->z.total_in > GZIP_HEADER_SIZE) {
                char what[64];
                (void)snprintf(what, sizeof(what), "flate: corrupt input before offset %lu",
                               r->z.total_in);
                return damaged(r, err, what);
            }
            r->is_foreign = true;
            break;
        }
        r->z_ended = rc == Z_STREAM_END;
        bytes = str_from(bytes, piece - r->z.avail_in);
        rc = reader_take(r, str_make(r->out, sizeof(r->out) - r->z.avail_out), err);
        if (rc < 0 || (bytes.n == 0 && r->z.avail_out > 0)) {
            return rc;
        }
    }
    if (r->is_foreign) { /* which nobody looks at before it is whole */
        return r->fed < GZIP_HEADER_SIZE
                   ? 0
                   : err_set(err, ERR_CORRUPT,
                             "failed to decompress snapshot: gzip: invalid header");
    }
    return bytes.n > 0 ? err_set(err, ERR_CORRUPT, "%zu unread uncompressed bytes remain", bytes.n)
                       : 0;
}

static int sums_failed(struct err *err, const char *what, struct str name)
{
    return err_set(err, ERR_CORRUPT,
                   "failed to read snapshot file: failed checking integrity of snapshot: %s "
                   "\"%.*s\"",
                   what, STRF(name));
}

/* Every line has to be right, and both files have to be among them. */
static int sums_check(struct archive_reader *r, struct err *err)
{
    struct buf lines[2] = {{0}, {0}};
    bool seen[2] = {false, false};
    EVP_MD_CTX *digests[2] = {r->meta_digest, r->state_digest};
    struct str rest = buf_view(&r->sums), line;
    int rc = 0;
    for (size_t i = 0; i < 2; i++) {
        sum_line(&lines[i], digests[i], (enum file)i);
    }
    while (rc == 0 && rest.n > 0 && str_split_next(&rest, '\n', &line)) {
        struct str name = str_trim(str_from(line, 2 * SHA256_SIZE));
        size_t i = str_eq(name, file_names[0]) ? 0 : str_eq(name, file_names[1]) ? 1 : 2;
        if (i == 2) {
            rc = sums_failed(err, "list missing hash for", str_first(name, 80));
        } else if (!str_eq(line, str_first(buf_view(&lines[i]), lines[i].n - 1))) {
            rc = sums_failed(err, "hash check failed for", name);
        } else {
            seen[i] = true;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (rc == 0 && !seen[i]) {
            rc = sums_failed(err, "file missing for", file_names[i]);
        }
        buf_deinit(&lines[i]);
    }
    return rc;
}

int archive_reader_finish(struct archive_reader *r, struct str *ret_meta, struct err *err)
{
    if (r->fed < GZIP_HEADER_SIZE) {
        return err_set(err, ERR_CORRUPT, "failed to decompress snapshot: %s",
                       r->fed == 0 ? "EOF" : "unexpected EOF");
    }
    if (!r->z_ended || r->left > 0 || r->block_size > 0) {
        return damaged(r, err, "unexpected EOF");
    }
    int rc = sums_check(r, err);
    if (rc == 0) {
        *ret_meta = buf_view(&r->meta);
    }
    return rc;
}

/* --- writing --------------------------------------------------------------------------------- */

struct archive_writer {
    z_stream z;
    archive_bytes_fn put;
    void *data;
    uint64_t wall_seconds, state_size, state_left;
    struct buf sums;
    EVP_MD_CTX *state_digest;
    struct str meta; /* heap */
    bool has_begun;
    unsigned char out[ARCHIVE_CHUNK_SIZE];
};

struct archive_writer *archive_writer_new(struct str meta, uint64_t state_size,
                                          uint64_t wall_seconds, archive_bytes_fn put, void *data)
{
    ASSERT(meta.n <= ARCHIVE_META_SIZE_MAX && state_size <= ARCHIVE_STATE_SIZE_MAX);
    struct archive_writer *w = xcalloc(1, sizeof(*w));
    w->put = put;
    w->data = data;
    w->wall_seconds = wall_seconds;
    w->state_size = w->state_left = state_size;
    w->meta = str_make(xmemdup(meta.p, meta.n), meta.n);
    digest_new(&w->state_digest);
    ASSERT(deflateInit2(&w->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, 8,
                        Z_DEFAULT_STRATEGY) == Z_OK);
    return w;
}

struct archive_writer *archive_writer_free(struct archive_writer *w)
{
    if (w != NULL) {
        (void)deflateEnd(&w->z);
        EVP_MD_CTX_free(w->state_digest);
        buf_deinit(&w->sums);
        mem_free((void *)w->meta.p);
        mem_free(w);
    }
    return NULL;
}

static int writer_deflate(struct archive_writer *w, struct str bytes, int flush)
{
    for (;;) {
        size_t piece = MIN(bytes.n, (size_t)1 << 30);
        w->z.next_in = (unsigned char *)(bytes.p != NULL ? bytes.p : "");
        w->z.avail_in = (unsigned)piece;
        w->z.next_out = w->out;
        w->z.avail_out = sizeof(w->out);
        int rc = deflate(&w->z, flush);
        ASSERT(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
        size_t made = sizeof(w->out) - w->z.avail_out;
        bytes = str_from(bytes, piece - w->z.avail_in);
        if (made > 0) {
            int put_rc = w->put(w->data, str_make(w->out, made));
            if (put_rc < 0) {
                return put_rc;
            }
        }
        if (flush == Z_FINISH ? rc == Z_STREAM_END : bytes.n == 0 && w->z.avail_out > 0) {
            return 0;
        }
    }
}

bool archive_tar_header(char ret_block[ARCHIVE_TAR_BLOCK_SIZE], struct str name, unsigned mode,
                        uint64_t size, uint64_t wall_seconds)
{
    char *b = ret_block;
    if (name.n == 0 || name.n >= TAR_NAME_SIZE || size > ARCHIVE_STATE_SIZE_MAX) {
        return false;
    }
    memset(b, 0, BLOCK_SIZE);
    memcpy(b + TAR_NAME, name.p, name.n);
    (void)snprintf(b + TAR_MODE, 8, "%07o", mode & 07777u);
    (void)snprintf(b + TAR_UID, 8, "%07o", 0u);
    (void)snprintf(b + TAR_GID, 8, "%07o", 0u);
    (void)snprintf(b + TAR_SIZE, 12, "%011llo", (unsigned long long)size);
    (void)snprintf(b + TAR_MTIME, 12, "%011llo",
                   (unsigned long long)wall_seconds & 077777777777ull);
    b[TAR_TYPE] = name.p[name.n - 1] == '/' ? '5' : '0';
    memcpy(b + TAR_MAGIC, "ustar\00000", 8);
    (void)snprintf(b + TAR_SUM, 8, "%06llo", (unsigned long long)tar_sum((const unsigned char *)b));
    b[TAR_SUM + 7] = ' ';
    return true;
}

static int writer_header(struct archive_writer *w, enum file file, uint64_t size)
{
    char block[BLOCK_SIZE];
    ASSERT(archive_tar_header(block, file_names[file], 0600, size, w->wall_seconds));
    return writer_deflate(w, str_make(block, sizeof(block)), Z_NO_FLUSH);
}

static int writer_padding(struct archive_writer *w, uint64_t size)
{
    static const char zeros[BLOCK_SIZE];
    return writer_deflate(w, str_make(zeros, (BLOCK_SIZE - size % BLOCK_SIZE) % BLOCK_SIZE),
                          Z_NO_FLUSH);
}

static int writer_file(struct archive_writer *w, enum file file, struct str content)
{
    int rc = writer_header(w, file, content.n);
    if (rc == 0) {
        rc = writer_deflate(w, content, Z_NO_FLUSH);
    }
    return rc < 0 ? rc : writer_padding(w, content.n);
}

/* meta.json, and the header of state.bin. */
static int writer_begin(struct archive_writer *w)
{
    EVP_MD_CTX *digest;
    if (w->has_begun) {
        return 0;
    }
    w->has_begun = true;
    digest_new(&digest);
    digest_add(digest, w->meta);
    sum_line(&w->sums, digest, FILE_META);
    EVP_MD_CTX_free(digest);
    int rc = writer_file(w, FILE_META, w->meta);
    return rc < 0 ? rc : writer_header(w, FILE_STATE, w->state_size);
}

int archive_writer_state(struct archive_writer *w, struct str bytes)
{
    int rc = writer_begin(w);
    if (rc < 0) {
        return rc;
    }
    if (bytes.n > w->state_left) {
        return -ERR_RANGE;
    }
    w->state_left -= bytes.n;
    digest_add(w->state_digest, bytes);
    return writer_deflate(w, bytes, Z_NO_FLUSH);
}

int archive_writer_finish(struct archive_writer *w)
{
    static const char zeros[2 * BLOCK_SIZE]; /* the end of a tar */
    int rc = writer_begin(w);
    if (rc == 0 && w->state_left > 0) {
        return -ERR_RANGE;
    }
    if (rc == 0) {
        rc = writer_padding(w, w->state_size);
    }
    if (rc == 0) {
        sum_line(&w->sums, w->state_digest, FILE_STATE);
        rc = writer_file(w, FILE_SUMS, buf_view(&w->sums));
    }
    return rc < 0 ? rc : writer_deflate(w, str_make(zeros, sizeof(zeros)), Z_FINISH);
}
