package cmp

// #include "shims.h"
import "C"

// EventNew is mp_event_new.
func EventNew() (*Event, Ret) {
	r := C.cmp_event_new()
	return (*Event)(r.ptr), take(r)
}

// EventFromToken is mp_event_from_token.
func EventFromToken(t *Token) (*Event, Ret) {
	r := C.cmp_event_from_token(t.c())
	return (*Event)(r.ptr), take(r)
}

// Token is mp_event_token.
func (e *Event) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_event_token(e.c(), out) })
}

// Set is mp_event_set.
func (e *Event) Set() Ret { return take(C.cmp_event_set(e.c())) }

// Clear is mp_event_clear.
func (e *Event) Clear() Ret { return take(C.cmp_event_clear(e.c())) }

// IsSet is mp_event_is_set.
func (e *Event) IsSet() (bool, Ret) {
	r := C.cmp_event_is_set(e.c())
	return r.num != 0, take(r)
}

// Wait is mp_event_wait under a cancel, which may be nil.
func (e *Event) Wait(timeout int64, c *Cancel) Ret {
	return take(C.cmp_event_wait(e.c(), C.int64_t(timeout), c.c()))
}

// Free is mp_event_free.
func (e *Event) Free() { C.mp_event_free(e.c()) }
