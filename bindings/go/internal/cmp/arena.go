package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// ArenaHow says how to open an arena; zeros are the defaults.
type ArenaHow struct {
	Capacity  uint64
	Mode      uint32
	UID       *uint32
	MustExist bool
}

// withName lends the name to a C call.
func withName(name string, call func(*C.char) C.cmp_ret) C.cmp_ret {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return call(text)
}

// ArenaOpen is mp_arena_open.
func ArenaOpen(name string, how ArenaHow) (*Arena, Ret) {
	raw := C.cmp_arena_how{
		capacity:   C.uint64_t(how.Capacity),
		mode:       C.uint32_t(how.Mode),
		must_exist: C.bool(how.MustExist),
	}
	if how.UID != nil {
		raw.uid, raw.uid_given = C.uint32_t(*how.UID), true
	}
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_open(text, &raw) })
	return (*Arena)(r.ptr), take(r)
}

// Queue is mp_arena_queue; without makeIt it must be there.
func (a *Arena) Queue(name string, makeIt bool, maxsize int64) (*Queue, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		return C.cmp_arena_queue(a.c(), text, C.bool(makeIt), C.int64_t(maxsize))
	})
	return (*Queue)(r.ptr), take(r)
}

// Lock is mp_arena_lock.
func (a *Arena) Lock(name string) (*Lock, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_lock(a.c(), text) })
	return (*Lock)(r.ptr), take(r)
}

// RLock is mp_arena_rlock.
func (a *Arena) RLock(name string) (*RLock, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_rlock(a.c(), text) })
	return (*RLock)(r.ptr), take(r)
}

// Semaphore is mp_arena_semaphore.
func (a *Arena) Semaphore(name string, value, limit uint32, robust bool) (*Semaphore, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		return C.cmp_arena_semaphore(a.c(), text, C.uint32_t(value), C.uint32_t(limit), C.bool(robust))
	})
	return (*Semaphore)(r.ptr), take(r)
}

// Remove is mp_arena_remove.
func (a *Arena) Remove(name string) Ret {
	return take(withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_remove(a.c(), text) }))
}

// Free is mp_arena_free.
func (a *Arena) Free() { C.mp_arena_free(a.c()) }

// ArenaUnlink is mp_arena_unlink.
func ArenaUnlink(name string) Ret {
	return take(withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_unlink(text) }))
}
