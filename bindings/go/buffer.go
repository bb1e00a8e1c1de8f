package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Buffer is a message in shared memory.
type Buffer struct {
	h     *handle[cmp.Buffer]
	bytes []byte
}

// Bytes is the memory itself, which the caller may write. It must not be used after Close, and the buffer must be kept
// until then: without a reference to it, its memory goes.
func (b *Buffer) Bytes() []byte {
	defer runtime.KeepAlive(b)
	if _, err := b.h.enter(); err != nil {
		return nil
	}
	defer b.h.leave()
	return b.bytes
}

// Close gives the memory back.
func (b *Buffer) Close() error {
	b.h.close()
	return nil
}

// PutBuffer hands the buffer on as a message, without a copy where that can be: see mp_queue_put_buffer. It waits while
// the queue is full. A buffer that was put is closed; on failure it stays the caller's.
func (q *Queue) PutBuffer(ctx context.Context, b *Buffer) error {
	defer runtime.KeepAlive(q)
	return q.putBuffer(ctx, cmp.Forever, b)
}

// TryPutBuffer is PutBuffer with a timeout; when it runs out, ErrFull.
func (q *Queue) TryPutBuffer(timeout time.Duration, b *Buffer) error {
	defer runtime.KeepAlive(q)
	return q.putBuffer(context.Background(), int64(timeout), b)
}

func (q *Queue) putBuffer(ctx context.Context, timeout int64, b *Buffer) error {
	if b == nil {
		return errorf(ErrInvalid, "there is no buffer to put")
	}
	defer runtime.KeepAlive(b)
	return b.h.consume(func(ptr *cmp.Buffer) (ended bool, err error) {
		_, err = q.h.wait(ctx, timeout, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) cmp.Ret {
			return p.PutBuffer(ptr, timeout, c)
		})
		return err == nil, err
	})
}
