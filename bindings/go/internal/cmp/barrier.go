package cmp

// #include "shims.h"
import "C"

// BarrierNew is mp_barrier_new.
func BarrierNew(parties uint32) (*Barrier, Ret) {
	r := C.cmp_barrier_new(C.uint32_t(parties))
	return (*Barrier)(r.ptr), take(r)
}

// BarrierFromToken is mp_barrier_from_token.
func BarrierFromToken(t *Token) (*Barrier, Ret) {
	r := C.cmp_barrier_from_token(t.c())
	return (*Barrier)(r.ptr), take(r)
}

// Token is mp_barrier_token.
func (b *Barrier) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_barrier_token(b.c(), out) })
}

// Wait is mp_barrier_wait under a cancel, which may be nil. It answers the place in the round.
func (b *Barrier) Wait(timeout int64, c *Cancel) (int, Ret) {
	r := C.cmp_barrier_wait(b.c(), C.int64_t(timeout), c.c())
	return int(r.num), take(r)
}

// Reset is mp_barrier_reset.
func (b *Barrier) Reset() Ret { return take(C.cmp_barrier_reset(b.c())) }

// Abort is mp_barrier_abort.
func (b *Barrier) Abort() Ret { return take(C.cmp_barrier_abort(b.c())) }

// Parties is mp_barrier_parties.
func (b *Barrier) Parties() (int, Ret) {
	r := C.cmp_barrier_parties(b.c())
	return int(r.num), take(r)
}

// Waiting is mp_barrier_waiting.
func (b *Barrier) Waiting() (int, Ret) {
	r := C.cmp_barrier_waiting(b.c())
	return int(r.num), take(r)
}

// Broken is mp_barrier_broken.
func (b *Barrier) Broken() (bool, Ret) {
	r := C.cmp_barrier_broken(b.c())
	return r.num != 0, take(r)
}

// Free is mp_barrier_free.
func (b *Barrier) Free() { C.mp_barrier_free(b.c()) }
