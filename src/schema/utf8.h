/* utf8.h - decoding UTF-8 as Go's unicode/utf8 does; private to schema/. */
#pragma once
#include "base/str.h"

#define UTF8_ERROR 0xfffdu

/* The width of the code point at p (n > 0 bytes are there) and its value; invalid bytes are one
 * wide and give UTF8_ERROR. */
static inline size_t utf8_decode(const uint8_t *p, size_t n, uint32_t *ret_rune)
{
    uint32_t c = p[0];
    *ret_rune = c;
    if (c < 0x80) {
        return 1;
    }
    *ret_rune = UTF8_ERROR;
    if (c >= 0xc2 && c <= 0xdf) {
        if (n >= 2 && (p[1] & 0xc0) == 0x80) {
            *ret_rune = (c & 0x1f) << 6 | (p[1] & 0x3fu);
            return 2;
        }
    } else if (c >= 0xe0 && c <= 0xef) {
        uint8_t low = c == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
        uint8_t high = c == 0xed ? 0x9f : 0xbf; /* no surrogates */
        if (n >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80) {
            *ret_rune = (c & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
            return 3;
        }
    } else if (c >= 0xf0 && c <= 0xf4) {
        uint8_t low = c == 0xf0 ? 0x90 : 0x80;
        uint8_t high = c == 0xf4 ? 0x8f : 0xbf;
        if (n >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 &&
            (p[3] & 0xc0) == 0x80) {
            *ret_rune =
                (c & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
            return 4;
        }
    }
    return 1;
}

/* Write a valid code point; the width. `to` has room for 4 bytes. */
static inline size_t utf8_encode(char *to, uint32_t rune)
{
    if (rune < 0x80) {
        to[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        to[0] = (char)(0xc0 | rune >> 6);
        to[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        to[0] = (char)(0xe0 | rune >> 12);
        to[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        to[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | rune >> 18);
    to[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    to[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    to[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}
