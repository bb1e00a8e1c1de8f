package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Queue carries messages of any length between any number of processes, first in, first out.
type Queue struct{ h *handle[cmp.Queue] }

// QueueOptions say how to make a queue.
type QueueOptions struct {
	MaxSize int // The most messages it holds; 0 and less: no limit.
}

// NewQueue makes a queue.
func NewQueue(o QueueOptions) (*Queue, error) { return queueOf(cmp.QueueNew(int64(o.MaxSize))) }

// QueueFromToken makes a handle of the queue that the token names.
func QueueFromToken(t Token) (*Queue, error) { return queueOf(cmp.QueueFromToken((*cmp.Token)(&t))) }

func queueOf(ptr *cmp.Queue, ret cmp.Ret) (*Queue, error) {
	return own(ptr, ret, (*cmp.Queue).Free, func(h *handle[cmp.Queue]) *Queue { return &Queue{h} })
}

// Token names the queue for other processes.
func (q *Queue) Token() (Token, error) {
	defer runtime.KeepAlive(q)
	return tokenOf(q.h, (*cmp.Queue).Token)
}

// Put copies a message in, waiting while the queue is full.
func (q *Queue) Put(ctx context.Context, data []byte) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.forever(ctx, putter(data))
	return err
}

// TryPut is Put with a timeout; when it runs out, ErrFull.
func (q *Queue) TryPut(timeout time.Duration, data []byte) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.try(timeout, putter(data))
	return err
}

func putter(data []byte) blocking[cmp.Queue] {
	return func(p *cmp.Queue, timeout int64, c *cmp.Cancel) cmp.Ret { return p.Put(data, timeout, c) }
}

// Get takes a message out, waiting while the queue is empty.
func (q *Queue) Get(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(q)
	var m message
	_, err := q.h.forever(ctx, m.get)
	return m.copy(), err
}

// TryGet is Get with a timeout; when it runs out, ErrEmpty.
func (q *Queue) TryGet(timeout time.Duration) ([]byte, error) {
	defer runtime.KeepAlive(q)
	var m message
	_, err := q.h.try(timeout, m.get)
	return m.copy(), err
}

// GetBuffer is Get without a copy: the message stays in shared memory until the buffer is closed.
func (q *Queue) GetBuffer(ctx context.Context) (*Buffer, error) {
	defer runtime.KeepAlive(q)
	var m message
	if _, err := q.h.forever(ctx, m.get); err != nil {
		return nil, err
	}
	b := &Buffer{newHandle(m.buffer, (*cmp.Buffer).Free), m.bytes}
	runtime.AddCleanup(b, (*handle[cmp.Buffer]).close, b.h)
	return b, nil
}

// message is what a get took out of a queue, if it did.
type message struct {
	buffer *cmp.Buffer
	bytes  []byte
}

func (m *message) get(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
	m.buffer, m.bytes, ret = p.Get(timeout, c)
	return ret
}

// copy gives the bytes in Go memory, and the buffer back.
func (m *message) copy() []byte {
	if m.buffer == nil {
		return nil
	}
	defer m.buffer.Free()
	return append([]byte{}, m.bytes...)
}

// GetInto takes a message into the caller's memory and answers its length. A message that does not fit stays in the
// queue: ErrTooLarge, and n is what it needs.
func (q *Queue) GetInto(ctx context.Context, data []byte) (n int, err error) {
	defer runtime.KeepAlive(q)
	_, err = q.h.forever(ctx, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		n, ret = p.GetInto(data, timeout, c)
		return ret
	})
	return n, err
}

// Len is the number of messages at this moment.
func (q *Queue) Len() (n int, err error) {
	defer runtime.KeepAlive(q)
	return ask(q.h, (*cmp.Queue).Size)
}

// Shutdown closes the queue for all processes: puts answer ErrClosed at once, gets drain it and then answer ErrClosed.
// Twice is fine.
func (q *Queue) Shutdown() error {
	defer runtime.KeepAlive(q)
	return q.h.call((*cmp.Queue).Close)
}

// Close drops this process's handle. The queue stays open for others: see Shutdown.
func (q *Queue) Close() error {
	q.h.close()
	return nil
}

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
