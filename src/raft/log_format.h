/* log_format.h - bytes of a segment file: shared by log.c, log_recover.c and their tests. See
 * docs/raft-log.md for the layout's reasons. */
#pragma once
#include "base/buf.h"
#include "base/encode.h"
#include "raft/log.h"

#define SEGMENT_MAGIC "cclog\0\0\1" /* the last byte is the version */
#define SEGMENT_HEADER_SIZE 64u
#define SEGMENT_NAME_SIZE 24u /* 20 digits and ".seg" */
#define RECORD_HEADER_SIZE 48u
#define RECORD_ALIGN 8u

/* Segment header: magic 8, salt 8, zeros, crc32c of the first 60 bytes at 60. */
static inline void segment_header_put(char to[SEGMENT_HEADER_SIZE], uint64_t salt)
{
    memset(to, 0, SEGMENT_HEADER_SIZE);
    memcpy(to, SEGMENT_MAGIC, 8);
    put_le64(to + 8, salt);
    put_le32(to + 60, crc32c(0, to, 60));
}

static inline bool segment_header_get(const char *from, uint64_t *ret_salt)
{
    if (memcmp(from, SEGMENT_MAGIC, 8) != 0 || get_le32(from + 60) != crc32c(0, from, 60)) {
        return false;
    }
    *ret_salt = get_le64(from + 8);
    return true;
}

/* Record header, little endian. */
enum record_offset {
    RECORD_HEADER_CRC = 0,       /* u32: salt, then bytes 4 to 47 */
    RECORD_DATA_CRC = 4,         /* u32: data and extensions */
    RECORD_INDEX = 8,            /* u64 */
    RECORD_TERM = 16,            /* u64 */
    RECORD_APPENDED = 24,        /* i64 */
    RECORD_BATCH_BACK = 32,      /* u32: how many entries of its batch stand before it */
    RECORD_DATA_SIZE = 36,       /* u32 */
    RECORD_EXTENSIONS_SIZE = 40, /* u16 */
    RECORD_TYPE = 42,            /* u8; 43 to 47 are zero */
};

struct record {
    struct raft_entry entry;
    uint32_t batch_back;
    size_t size; /* with header and padding */
};

static inline size_t record_size(size_t data_size, size_t extensions_size)
{
    return (RECORD_HEADER_SIZE + data_size + extensions_size + RECORD_ALIGN - 1) &
           ~(size_t)(RECORD_ALIGN - 1);
}

/* All but the checksums; to has record_size() bytes. */
static inline void record_put(char *to, const struct raft_entry *e, uint32_t batch_back)
{
    put_le64(to, 0);
    put_le64(to + RECORD_INDEX, e->index);
    put_le64(to + RECORD_TERM, e->term);
    put_le64(to + RECORD_APPENDED, (uint64_t)e->appended_ns);
    put_le32(to + RECORD_BATCH_BACK, batch_back);
    put_le32(to + RECORD_DATA_SIZE, (uint32_t)e->data.n);
    put_le64(to + RECORD_EXTENSIONS_SIZE,
             (uint64_t)e->extensions.n | (uint64_t)(uint8_t)e->type << 16);
    char *p = to + RECORD_HEADER_SIZE;
    if (e->data.n > 0) {
        memcpy(p, e->data.p, e->data.n);
    }
    if (e->extensions.n > 0) {
        memcpy(p + e->data.n, e->extensions.p, e->extensions.n);
    }
    size_t n = e->data.n + e->extensions.n;
    size_t padding = record_size(e->data.n, e->extensions.n) - RECORD_HEADER_SIZE - n;
    memset(p + n, 0, padding);
}

static inline uint32_t record_header_crc(const char *at, uint64_t salt)
{
    return crc32c(crc32c(0, &salt, 8), at + 4, RECORD_HEADER_SIZE - 4);
}

/* Lay the checksums over what record_put() wrote; returns the record's size. */
static inline size_t record_seal(char *at, uint64_t salt)
{
    size_t data_size = get_le32(at + RECORD_DATA_SIZE);
    size_t extensions_size = (size_t)(get_le64(at + RECORD_EXTENSIONS_SIZE) & 0xffff);
    put_le32(at + RECORD_DATA_CRC, crc32c(0, at + RECORD_HEADER_SIZE, data_size + extensions_size));
    put_le32(at + RECORD_HEADER_CRC, record_header_crc(at, salt));
    return record_size(data_size, extensions_size);
}

/* Read a record this process wrote or has checked. */
static inline void record_get(const char *at, struct record *ret_record)
{
    size_t data_size = get_le32(at + RECORD_DATA_SIZE);
    uint64_t word = get_le64(at + RECORD_EXTENSIONS_SIZE);
    size_t extensions_size = (size_t)(word & 0xffff);
    *ret_record = (struct record){
        .entry = {.index = get_le64(at + RECORD_INDEX),
                  .term = get_le64(at + RECORD_TERM),
                  .type = (enum raft_entry_type)(uint8_t)(word >> 16),
                  .appended_ns = (int64_t)get_le64(at + RECORD_APPENDED),
                  .data = {at + RECORD_HEADER_SIZE, data_size},
                  .extensions = {at + RECORD_HEADER_SIZE + data_size, extensions_size}},
        .batch_back = get_le32(at + RECORD_BATCH_BACK),
        .size = record_size(data_size, extensions_size),
    };
}

enum record_check {
    RECORD_GOOD,
    RECORD_BAD_HEADER,
    RECORD_BAD_DATA, /* the header, and so index and batch, can be trusted */
};

/* Check the bytes at `at`, of which there are n. */
static inline enum record_check record_check(const char *at, size_t n, uint64_t salt,
                                             struct record *ret_record)
{
    if (n < RECORD_HEADER_SIZE || get_le32(at) != record_header_crc(at, salt)) {
        return RECORD_BAD_HEADER;
    }
    record_get(at, ret_record);
    const struct raft_entry *e = &ret_record->entry;
    if (e->data.n > RAFT_ENTRY_SIZE_MAX || ret_record->batch_back >= e->index) {
        return RECORD_BAD_HEADER; /* never written so, whatever the checksum says */
    }
    if (ret_record->size > n ||
        get_le32(at + RECORD_DATA_CRC) != crc32c(0, e->data.p, e->data.n + e->extensions.n)) {
        return RECORD_BAD_DATA;
    }
    return RECORD_GOOD;
}
