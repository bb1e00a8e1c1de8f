package cmp

// #include "shims.h"
import "C"

import "unsafe"

// QueueHow are the fields of mp_queue_options.
type QueueHow struct {
	Kind      int32
	MaxSize   int64
	MaxBytes  uint64
	Overflow  int32
	Redeliver bool
}

func (h *QueueHow) c() *C.cmp_queue_how {
	return &C.cmp_queue_how{maxsize: C.int64_t(h.MaxSize), max_bytes: C.uint64_t(h.MaxBytes), kind: C.int32_t(h.Kind),
		overflow: C.int32_t(h.Overflow), redeliver: C.bool(h.Redeliver)}
}

// QueueNew is mp_queue_new.
func QueueNew(how *QueueHow) (*Queue, Ret) {
	r := C.cmp_queue_new(how.c())
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

// PutPriority is mp_queue_put_priority under a cancel, which may be nil.
func (q *Queue) PutPriority(priority int64, data []byte, timeout int64, c *Cancel) Ret {
	p, n := pointer(data)
	return take(C.cmp_queue_put_priority(q.c(), C.int64_t(priority), p, n, C.int64_t(timeout), c.c()))
}

// PutBuffer is mp_queue_put_buffer under a cancel, which may be nil. Success ends the buffer.
func (q *Queue) PutBuffer(b *Buffer, timeout int64, c *Cancel) Ret {
	return take(C.cmp_queue_put_buffer(q.c(), b.c(), C.int64_t(timeout), c.c()))
}

// Messages are byte slices as C sees them, until Free.
type Messages struct{ in *slices }

// NewMessages takes the items.
func NewMessages(items [][]byte) Messages { return Messages{newSlices(nil, items)} }

// Free lets them go.
func (m Messages) Free() { m.in.free() }

// PutMany is mp_queue_put_many, of the messages from that one on, under a cancel, which may be nil. It answers how many
// were put.
func (q *Queue) PutMany(m Messages, from int, timeout int64, c *Cancel) (int, Ret) {
	first := (*C.mp_slice)(unsafe.Add(unsafe.Pointer(m.in.first), uintptr(from)*unsafe.Sizeof(C.mp_slice{})))
	r := C.cmp_queue_put_many(q.c(), first, m.in.n-C.size_t(from), C.int64_t(timeout), c.c())
	return int(r.num), take(r)
}

// GetMany is mp_queue_get_many under a cancel, which may be nil. It answers copies.
func (q *Queue) GetMany(most int, timeout int64, c *Cancel) ([][]byte, Ret) {
	r := C.cmp_queue_get_many(q.c(), C.size_t(most), C.int64_t(timeout), c.c())
	if r.ptr == nil {
		return nil, take(r)
	}
	first := (*C.cmp_message)(r.ptr)
	defer C.cmp_messages_free(first, C.size_t(r.num))
	out := make([][]byte, int(r.num))
	for i, message := range unsafe.Slice(first, int(r.num)) {
		out[i] = append([]byte{}, view(unsafe.Pointer(message.bytes.data), message.bytes.len)...)
	}
	return out, take(r)
}

// Reserve is mp_queue_reserve under a cancel, which may be nil. The bytes are valid until the reservation ends.
func (q *Queue) Reserve(n int, timeout int64, c *Cancel) (*Reserved, []byte, Ret) {
	r := C.cmp_queue_reserve(q.c(), C.size_t(n), C.int64_t(timeout), c.c())
	if r.ptr == nil {
		return nil, nil, take(r)
	}
	return (*Reserved)(r.ptr), view(unsafe.Pointer(r.data), C.size_t(n)), take(r)
}

// Commit is mp_queue_commit. It ends the reservation, whatever it answers.
func (r *Reserved) Commit() Ret { return take(C.cmp_queue_commit(r.c())) }

// CommitLen is mp_queue_commit_len. It ends the reservation, whatever it answers.
func (r *Reserved) CommitLen(n int) Ret { return take(C.cmp_queue_commit_len(r.c(), C.size_t(n))) }

// Abandon is mp_queue_abandon.
func (r *Reserved) Abandon() { C.mp_queue_abandon(r.c()) }

// TaskDone is mp_queue_task_done.
func (q *Queue) TaskDone() Ret { return take(C.cmp_queue_task_done(q.c())) }

// Ack is mp_queue_ack.
func (q *Queue) Ack(b *Buffer) Ret { return take(C.cmp_queue_ack(q.c(), b.c())) }

// Redelivers says whether the queue does.
func (q *Queue) Redelivers() (bool, Ret) {
	r := C.cmp_queue_redelivers(q.c())
	return r.num != 0, take(r)
}

// Join is mp_queue_join under a cancel, which may be nil.
func (q *Queue) Join(timeout int64, c *Cancel) Ret {
	return take(C.cmp_queue_join(q.c(), C.int64_t(timeout), c.c()))
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
