package cmp

// #include "shims.h"
import "C"

// ConditionNew is mp_condition_new_with_lock: the lock's owner is the process, not a thread, of which Go knows nothing.
func ConditionNew(l *Lock) (*Condition, Ret) {
	r := C.cmp_condition_new(l.c())
	return (*Condition)(r.ptr), take(r)
}

// ConditionFromToken is mp_condition_from_token.
func ConditionFromToken(t *Token) (*Condition, Ret) {
	r := C.cmp_condition_from_token(t.c())
	return (*Condition)(r.ptr), take(r)
}

// Token is mp_condition_token.
func (d *Condition) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_condition_token(d.c(), out) })
}

// Acquire is mp_condition_acquire under a cancel, which may be nil.
func (d *Condition) Acquire(timeout int64, c *Cancel) Ret {
	return take(C.cmp_condition_acquire(d.c(), C.int64_t(timeout), c.c()))
}

// Release is mp_condition_release.
func (d *Condition) Release() Ret { return take(C.cmp_condition_release(d.c())) }

// Wait is mp_condition_wait under a cancel, which may be nil.
func (d *Condition) Wait(timeout int64, c *Cancel) Ret {
	return take(C.cmp_condition_wait(d.c(), C.int64_t(timeout), c.c()))
}

// Notify is mp_condition_notify.
func (d *Condition) Notify(n uint32) Ret { return take(C.cmp_condition_notify(d.c(), C.uint32_t(n))) }

// NotifyAll is mp_condition_notify_all.
func (d *Condition) NotifyAll() Ret { return take(C.cmp_condition_notify_all(d.c())) }

// Free is mp_condition_free.
func (d *Condition) Free() { C.mp_condition_free(d.c()) }
