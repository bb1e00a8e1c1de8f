package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Queue carries messages of any length between any number of processes. What a put has answered is there for every
// getter, whatever becomes of the putter. A message goes to one getter; with QueueOptions.Redeliver to another one, if
// that dies before it has acknowledged it.
type Queue struct {
	h          *handle[cmp.Queue]
	redelivers bool
}

// QueueKind is the order in which a queue gives its messages out.
type QueueKind int32

// The kinds of queue.
const (
	QueueFIFO     QueueKind = QueueKind(cmp.QueueFIFO)     // First in, first out: the default.
	QueueLIFO     QueueKind = QueueKind(cmp.QueueLIFO)     // Last in, first out.
	QueuePriority QueueKind = QueueKind(cmp.QueuePriority) // Lowest number first, equals in their order: PutPriority.
)

// OverflowPolicy is what a put into a full queue does.
type OverflowPolicy int32

// The policies.
const (
	OverflowWait       OverflowPolicy = OverflowPolicy(cmp.OverflowWait)       // It waits: the default.
	OverflowFail       OverflowPolicy = OverflowPolicy(cmp.OverflowFail)       // ErrFull at once.
	OverflowDropOldest OverflowPolicy = OverflowPolicy(cmp.OverflowDropOldest) // What was put first is dropped, and done.
)

// QueueOptions say how to make a queue.
type QueueOptions struct {
	Kind      QueueKind
	MaxSize   int    // The most messages it holds; 0 and less: no limit.
	MaxBytes  uint64 // The most bytes in all of them; 0: no limit. A longer message is ErrTooLarge.
	Overflow  OverflowPolicy
	Redeliver bool // Messages are taken by GetDelivery, and come back if their taker dies before it acknowledged them.
}

func (o *QueueOptions) how() *cmp.QueueHow {
	return &cmp.QueueHow{Kind: int32(o.Kind), MaxSize: int64(o.MaxSize), MaxBytes: o.MaxBytes,
		Overflow: int32(o.Overflow), Redeliver: o.Redeliver}
}

// NewQueue makes a queue.
func NewQueue(o QueueOptions) (*Queue, error) { return queueOf(cmp.QueueNew(o.how())) }

// QueueFromToken makes a handle of the queue that the token names.
func QueueFromToken(t Token) (*Queue, error) { return queueOf(cmp.QueueFromToken((*cmp.Token)(&t))) }

func queueOf(ptr *cmp.Queue, ret cmp.Ret) (*Queue, error) {
	var redelivers bool
	if check(ret) == nil {
		var asked cmp.Ret
		if redelivers, asked = ptr.Redelivers(); check(asked) != nil {
			ptr.Free()
			return nil, check(asked)
		}
	}
	return own(ptr, ret, (*cmp.Queue).Free, func(h *handle[cmp.Queue]) *Queue { return &Queue{h, redelivers} })
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

// PutPriority is Put with a priority, into a queue of that kind: the lowest leaves first. Without one it is 0. In a
// queue of another kind, ErrUnsupported.
func (q *Queue) PutPriority(ctx context.Context, priority int64, data []byte) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.forever(ctx, ranked(priority, data))
	return err
}

// TryPutPriority is PutPriority with a timeout; when it runs out, ErrFull.
func (q *Queue) TryPutPriority(timeout time.Duration, priority int64, data []byte) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.try(timeout, ranked(priority, data))
	return err
}

func ranked(priority int64, data []byte) blocking[cmp.Queue] {
	return func(p *cmp.Queue, timeout int64, c *cmp.Cancel) cmp.Ret {
		return p.PutPriority(priority, data, timeout, c)
	}
}

// Get takes a message out, waiting while the queue is empty. From a queue that redelivers take by GetDelivery: this,
// and the other calls that give no Delivery, are ErrUnsupported there.
func (q *Queue) Get(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(q)
	return q.get(ctx, cmp.Forever)
}

// TryGet is Get with a timeout; when it runs out, ErrEmpty.
func (q *Queue) TryGet(timeout time.Duration) ([]byte, error) {
	defer runtime.KeepAlive(q)
	return q.get(context.Background(), int64(timeout))
}

func (q *Queue) get(ctx context.Context, timeout int64) ([]byte, error) {
	m, err := q.take(ctx, timeout, false)
	if err != nil {
		return nil, err
	}
	defer m.buffer.Free()
	return append([]byte{}, m.bytes...), nil
}

// GetBuffer is Get without a copy: the message stays in shared memory until the buffer is closed.
func (q *Queue) GetBuffer(ctx context.Context) (*Buffer, error) {
	defer runtime.KeepAlive(q)
	m, err := q.take(ctx, cmp.Forever, false)
	if err != nil {
		return nil, err
	}
	return own(m.buffer, cmp.Ret{}, (*cmp.Buffer).Free, func(h *handle[cmp.Buffer]) *Buffer { return &Buffer{h, m.bytes} })
}

// message is what was taken out of a queue or a connection.
type message struct {
	buffer *cmp.Buffer
	bytes  []byte
}

func (q *Queue) take(ctx context.Context, timeout int64, delivery bool) (m message, err error) {
	if err := q.gives(delivery); err != nil {
		return m, err
	}
	_, err = q.h.wait(ctx, timeout, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		m.buffer, m.bytes, ret = p.Get(timeout, c)
		return ret
	})
	return m, err
}

// gives refuses the wrong way to take a message: without a Delivery it could never be acknowledged.
func (q *Queue) gives(delivery bool) error {
	switch {
	case q.redelivers == delivery:
		return nil
	case delivery:
		return errorf(ErrUnsupported, "only a queue that redelivers gives a Delivery")
	default:
		return errorf(ErrUnsupported, "the queue redelivers: take from it by GetDelivery")
	}
}

// GetInto takes a message into the caller's memory and answers its length. A message that does not fit stays in the
// queue: ErrTooLarge, and n is what it needs.
func (q *Queue) GetInto(ctx context.Context, data []byte) (n int, err error) {
	defer runtime.KeepAlive(q)
	if err := q.gives(false); err != nil {
		return 0, err
	}
	_, err = q.h.forever(ctx, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		n, ret = p.GetInto(data, timeout, c)
		return ret
	})
	return n, err
}

// TaskDone tells that one of the messages that were taken is done, for Join; of more than were put, ErrOverflow. For
// what a Delivery gave, its Ack tells it.
func (q *Queue) TaskDone() error {
	defer runtime.KeepAlive(q)
	return q.h.call((*cmp.Queue).TaskDone)
}

// Join waits until all that was put is done: told by TaskDone or Ack, dropped, or taken by a process that has died,
// unless the queue redelivers.
func (q *Queue) Join(ctx context.Context) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.forever(ctx, (*cmp.Queue).Join)
	return err
}

// TryJoin is Join with a timeout; when it runs out, ErrTimeout.
func (q *Queue) TryJoin(timeout time.Duration) error {
	defer runtime.KeepAlive(q)
	_, err := q.h.try(timeout, (*cmp.Queue).Join)
	return err
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
