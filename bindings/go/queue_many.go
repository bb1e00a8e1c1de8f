package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// PutMany puts copies of the messages, in their order, waiting while the queue is full: much cheaper for each than Put.
// After a failure the first n are in the queue, and no other.
func (q *Queue) PutMany(ctx context.Context, messages [][]byte) (n int, err error) {
	defer runtime.KeepAlive(q)
	return q.putMany(ctx, cmp.Forever, messages)
}

// TryPutMany is PutMany with a timeout for all together; when it runs out, ErrFull.
func (q *Queue) TryPutMany(timeout time.Duration, messages [][]byte) (n int, err error) {
	defer runtime.KeepAlive(q)
	return q.putMany(context.Background(), int64(timeout), messages)
}

func (q *Queue) putMany(ctx context.Context, timeout int64, messages [][]byte) (n int, err error) {
	in := cmp.NewMessages(messages)
	defer in.Free()
	// It may be made twice, and the second call goes on behind what the first has put.
	_, err = q.h.wait(ctx, timeout, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) cmp.Ret {
		done, ret := p.PutMany(in, n, timeout, c)
		n += done
		return ret
	})
	return n, err
}

// GetMany waits for a message, then takes what is there, at most so many: much cheaper for each than Get.
func (q *Queue) GetMany(ctx context.Context, most int) ([][]byte, error) {
	defer runtime.KeepAlive(q)
	return q.getMany(ctx, cmp.Forever, most)
}

// TryGetMany is GetMany with a timeout; when it runs out, ErrEmpty.
func (q *Queue) TryGetMany(timeout time.Duration, most int) ([][]byte, error) {
	defer runtime.KeepAlive(q)
	return q.getMany(context.Background(), int64(timeout), most)
}

func (q *Queue) getMany(ctx context.Context, timeout int64, most int) (messages [][]byte, err error) {
	if most <= 0 {
		return nil, errorf(ErrInvalid, "%d messages are none to wait for", most)
	}
	if err := q.gives(false); err != nil {
		return nil, err
	}
	_, err = q.h.wait(ctx, timeout, func(p *cmp.Queue, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		messages, ret = p.GetMany(most, timeout, c)
		return ret
	})
	return messages, err
}
