/* SHA-256 against the vectors published with FIPS 180-4 (NIST's examples and CAVP byte-oriented sets). */
#include "../../examples-c/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(const char *what, const unsigned char digest[SHA256_DIGEST], const char *expected) {
    char hex[2 * SHA256_DIGEST + 1];
    for (int i = 0; i < SHA256_DIGEST; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(hex, expected) != 0) {
        fprintf(stderr, "%s:\n  expected %s\n  got      %s\n", what, expected, hex);
        failures++;
    }
}

static void check_text(const char *text, const char *expected) {
    unsigned char digest[SHA256_DIGEST];
    sha256(text, strlen(text), digest);
    check(text, digest, expected);
}

/* The same text cut at every place, so that every fill of the block meets every length. */
static void check_every_cut(const char *text, const char *expected) {
    size_t len = strlen(text);
    for (size_t cut = 0; cut <= len; cut++) {
        struct sha256 hash;
        unsigned char digest[SHA256_DIGEST];
        sha256_init(&hash);
        sha256_update(&hash, text, cut);
        sha256_update(&hash, text + cut, len - cut);
        sha256_final(&hash, digest);
        check("cut in two", digest, expected);
    }
}

static void check_million(size_t piece) {
    static unsigned char as[1000];
    struct sha256 hash;
    unsigned char digest[SHA256_DIGEST];
    memset(as, 'a', sizeof as);
    sha256_init(&hash);
    for (size_t left = 1000000; left > 0;) {
        size_t take = piece < left ? piece : left;
        sha256_update(&hash, as, take);
        left -= take;
    }
    sha256_final(&hash, digest);
    check("a million times the letter a", digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void) {
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char long_text[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                                    "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    static const char *two_blocks_digest = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    static const char *long_digest = "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1";
    static const unsigned char one_byte[] = {0xbd}, four_bytes[] = {0xc9, 0x8c, 0x8e, 0x55};
    unsigned char digest[SHA256_DIGEST];

    check_text("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_text("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_text(two_blocks, two_blocks_digest);
    check_text(long_text, long_digest);
    check_every_cut(two_blocks, two_blocks_digest);
    check_every_cut(long_text, long_digest);
    sha256(one_byte, sizeof one_byte, digest);
    check("one byte 0xbd", digest, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
    sha256(four_bytes, sizeof four_bytes, digest);
    check("four bytes", digest, "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504");
    check_million(1000);
    check_million(37);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
