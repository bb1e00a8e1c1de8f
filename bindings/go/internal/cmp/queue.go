package cmp

// #include "shims.h"
import "C"

import "unsafe"

// QueueNew is mp_queue_new.
func QueueNew(maxsize int64) (*Queue, Ret) {
	r := C.cmp_queue_new(C.int64_t(maxsize))
	return (*Queue)(r.ptr), take(r)
}

// QueueFromToken is mp_queue_from_token.
func QueueFromToken(t *Token) (*Queue, Ret) {
	r := C.cmp_queue_from_token(t.c())
	return (*Queue)(r.ptr), take(r)
}

// Token is mp_queue_token.
func (q *Queue) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_queue_token(q.c(), out) })
}

// Put is mp_queue_put under a cancel, which may be nil.
func (q *Queue) Put(data []byte, timeout int64, c *Cancel) Ret {
	p, n := pointer(data)
	return take(C.cmp_queue_put(q.c(), p, n, C.int64_t(timeout), c.c()))
}

// Get is mp_queue_get under a cancel, which may be nil. The bytes are the buffer's, valid until its Free.
func (q *Queue) Get(timeout int64, c *Cancel) (*Buffer, []byte, Ret) {
	r := C.cmp_queue_get(q.c(), C.int64_t(timeout), c.c())
	if r.ptr == nil {
		return nil, nil, take(r)
	}
	return (*Buffer)(r.ptr), view(unsafe.Pointer(r.data), C.size_t(r.num)), take(r)
}

// GetInto is mp_queue_get_into under a cancel, which may be nil. It answers the message's length.
func (q *Queue) GetInto(data []byte, timeout int64, c *Cancel) (int, Ret) {
	p, n := pointer(data)
	r := C.cmp_queue_get_into(q.c(), p, n, C.int64_t(timeout), c.c())
	return int(r.num), take(r)
}

// Size is mp_queue_size.
func (q *Queue) Size() (int, Ret) {
	r := C.cmp_queue_size(q.c())
	return int(r.num), take(r)
}

// Close is mp_queue_close.
func (q *Queue) Close() Ret { return take(C.cmp_queue_close(q.c())) }

// Free is mp_queue_free.
func (q *Queue) Free() { C.mp_queue_free(q.c()) }
