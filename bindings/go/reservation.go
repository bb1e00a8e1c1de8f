package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Reservation is room for one message, which is written in place: a getter's Buffer is this memory, if it is longer than
// a kilobyte. It takes up room in its queue until it is committed or abandoned; what was not is abandoned when the
// garbage collector finds it, or its process dies. It outlives its Queue. One goroutine at a time may use it.
type Reservation struct {
	h     *handle[cmp.Reserved]
	bytes []byte
}

// Reserve reserves room for a message of n bytes, waiting while the queue is full.
func (q *Queue) Reserve(ctx context.Context, n int) (*Reservation, error) {
	defer runtime.KeepAlive(q)
	return q.reserve(ctx, cmp.Forever, n)
}

// TryReserve is Reserve with a timeout; when it runs out, ErrFull.
func (q *Queue) TryReserve(timeout time.Duration, n int) (*Reservation, error) {
	defer runtime.KeepAlive(q)
	return q.reserve(context.Background(), int64(timeout), n)
}

func (q *Queue) reserve(ctx context.Context, timeout int64, n int) (*Reservation, error) {
	if n < 0 {
		return nil, errorf(ErrInvalid, "a message can't have %d bytes", n)
	}
	var ptr *cmp.Reserved
	var bytes []byte
	ret, err := q.h.wait(ctx, timeout, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		ptr, bytes, ret = p.Reserve(n, timeout, c)
		return ret
	})
	if err != nil {
		return nil, err
	}
	return own(ptr, ret, (*cmp.Reserved).Abandon, func(h *handle[cmp.Reserved]) *Reservation {
		return &Reservation{h, bytes}
	})
}

// Bytes is the memory for the message, whose contents are undefined at first; nil once the reservation has ended. It is
// shared memory: it must not be used after that, and the reservation must be kept until then.
func (r *Reservation) Bytes() []byte {
	defer runtime.KeepAlive(r)
	if _, err := r.h.enter(); err != nil {
		return nil
	}
	defer r.h.leave()
	return r.bytes
}

// Commit puts the whole message; ErrClosed if the queue was shut down meanwhile, and then nothing was put. The
// reservation has ended in any case.
func (r *Reservation) Commit() error { return r.end((*cmp.Reserved).Commit) }

// CommitLen puts the first n bytes; more than were reserved are ErrInvalid. The reservation has ended in any case.
func (r *Reservation) CommitLen(n int) error {
	return r.end(func(p *cmp.Reserved) cmp.Ret { return p.CommitLen(n) })
}

func (r *Reservation) end(commit func(*cmp.Reserved) cmp.Ret) error {
	defer runtime.KeepAlive(r)
	return r.h.consume(func(p *cmp.Reserved) (ended bool, err error) { return true, check(commit(p)) })
}

// Abandon gives the room back. Twice is fine, and so is after a commit: it may be deferred.
func (r *Reservation) Abandon() error {
	r.h.close()
	return nil
}
