package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Delivery is a message of a queue that redelivers, in this process's hands until Ack says that it is done. If the
// process ends before, however it does, the message comes back for another taker, in its old place: so it may be worked
// on twice, but is not lost. Work whose result is sent on is acknowledged after that was sent.
type Delivery struct {
	h     *handle[cmp.Buffer]
	bytes []byte
	queue *Queue // It acknowledges.
}

// GetDelivery takes a message out of a queue that redelivers, waiting while it is empty. At a queue that was shut down
// it also waits for what other processes have not acknowledged, since that may come back. In other queues, ErrUnsupported.
func (q *Queue) GetDelivery(ctx context.Context) (*Delivery, error) {
	defer runtime.KeepAlive(q)
	return q.getDelivery(ctx, cmp.Forever)
}

// TryGetDelivery is GetDelivery with a timeout; when it runs out, ErrEmpty.
func (q *Queue) TryGetDelivery(timeout time.Duration) (*Delivery, error) {
	defer runtime.KeepAlive(q)
	return q.getDelivery(context.Background(), int64(timeout))
}

func (q *Queue) getDelivery(ctx context.Context, timeout int64) (*Delivery, error) {
	m, err := q.take(ctx, timeout, true)
	if err != nil {
		return nil, err
	}
	return own(m.buffer, cmp.Ret{}, (*cmp.Buffer).Free, func(h *handle[cmp.Buffer]) *Delivery {
		return &Delivery{h: h, bytes: m.bytes, queue: q}
	})
}

// Data is the message, in C's memory, nil after Ack and Close. It must not be used after those, and the delivery must be
// kept until then: without a reference to it, its memory goes.
func (d *Delivery) Data() []byte {
	defer runtime.KeepAlive(d)
	if _, err := d.h.enter(); err != nil {
		return nil
	}
	defer d.h.leave()
	return d.bytes
}

// Ack tells that the message is done, and closes the delivery; after that it is ErrClosed, as it is once the Queue was
// closed. On failure the delivery stays as it was.
func (d *Delivery) Ack() error {
	defer runtime.KeepAlive(d)
	b, err := d.h.enter()
	if err != nil {
		return err
	}
	defer d.h.leave()
	if err := d.queue.h.call(func(q *cmp.Queue) cmp.Ret { return q.Ack(b) }); err != nil {
		return err
	}
	d.h.close()
	return nil
}

// Close gives the memory back without an Ack: the message comes back when this process has ended. What was not closed is
// closed when the garbage collector finds it. After Ack it does nothing.
func (d *Delivery) Close() error {
	d.h.close()
	return nil
}
