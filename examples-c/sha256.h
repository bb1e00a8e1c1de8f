/* SHA-256 as FIPS 180-4 defines it: the work that csv_pool --cost gives its workers. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_DIGEST 32

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes hashed so far */
    unsigned char block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t len);
void sha256_final(struct sha256 *hash, unsigned char digest[SHA256_DIGEST]);

/* The digest of one piece of memory. */
void sha256(const void *data, size_t len, unsigned char digest[SHA256_DIGEST]);

#endif
