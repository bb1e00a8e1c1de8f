package cmp

// #include "shims.h"
import "C"

// LockNew is mp_lock_new.
func LockNew() (*Lock, Ret) {
	r := C.cmp_lock_new()
	return (*Lock)(r.ptr), take(r)
}

// LockFromToken is mp_lock_from_token.
func LockFromToken(t *Token) (*Lock, Ret) {
	r := C.cmp_lock_from_token(t.c())
	return (*Lock)(r.ptr), take(r)
}

// Token is mp_lock_token.
func (l *Lock) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_lock_token(l.c(), out) })
}

// Acquire is mp_lock_acquire under a cancel, which may be nil.
func (l *Lock) Acquire(timeout int64, c *Cancel) Ret {
	return take(C.cmp_lock_acquire(l.c(), C.int64_t(timeout), c.c()))
}

// Release is mp_lock_release.
func (l *Lock) Release() Ret { return take(C.cmp_lock_release(l.c())) }

// Owner is mp_lock_owner.
func (l *Lock) Owner() (int, Ret) {
	r := C.cmp_lock_owner(l.c())
	return int(r.num), take(r)
}

// Free is mp_lock_free.
func (l *Lock) Free() { C.mp_lock_free(l.c()) }

// RLockNew is mp_rlock_new.
func RLockNew() (*RLock, Ret) {
	r := C.cmp_rlock_new()
	return (*RLock)(r.ptr), take(r)
}

// RLockFromToken is mp_rlock_from_token.
func RLockFromToken(t *Token) (*RLock, Ret) {
	r := C.cmp_rlock_from_token(t.c())
	return (*RLock)(r.ptr), take(r)
}

// Token is mp_rlock_token.
func (l *RLock) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_rlock_token(l.c(), out) })
}

// AcquireAs is mp_rlock_acquire_as under a cancel, which may be nil.
func (l *RLock) AcquireAs(owner uint64, timeout int64, c *Cancel) Ret {
	return take(C.cmp_rlock_acquire_as(l.c(), C.uint64_t(owner), C.int64_t(timeout), c.c()))
}

// ReleaseAs is mp_rlock_release_as.
func (l *RLock) ReleaseAs(owner uint64) Ret {
	return take(C.cmp_rlock_release_as(l.c(), C.uint64_t(owner)))
}

// Free is mp_rlock_free.
func (l *RLock) Free() { C.mp_rlock_free(l.c()) }

// SemaphoreNew is mp_semaphore_new.
func SemaphoreNew(value, limit uint32, robust bool) (*Semaphore, Ret) {
	r := C.cmp_semaphore_new(C.uint32_t(value), C.uint32_t(limit), C.bool(robust))
	return (*Semaphore)(r.ptr), take(r)
}

// SemaphoreFromToken is mp_semaphore_from_token.
func SemaphoreFromToken(t *Token) (*Semaphore, Ret) {
	r := C.cmp_semaphore_from_token(t.c())
	return (*Semaphore)(r.ptr), take(r)
}

// Token is mp_semaphore_token.
func (s *Semaphore) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_semaphore_token(s.c(), out) })
}

// Acquire is mp_semaphore_acquire under a cancel, which may be nil.
func (s *Semaphore) Acquire(timeout int64, c *Cancel) Ret {
	return take(C.cmp_semaphore_acquire(s.c(), C.int64_t(timeout), c.c()))
}

// Release is mp_semaphore_release.
func (s *Semaphore) Release(n uint32) Ret {
	return take(C.cmp_semaphore_release(s.c(), C.uint32_t(n)))
}

// Value is mp_semaphore_value.
func (s *Semaphore) Value() (uint32, Ret) {
	r := C.cmp_semaphore_value(s.c())
	return uint32(r.num), take(r)
}

// Free is mp_semaphore_free.
func (s *Semaphore) Free() { C.mp_semaphore_free(s.c()) }
