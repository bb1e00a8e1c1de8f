package mp

import (
	"context"
	"runtime"

	"libmp.dev/mp/internal/cmp"
)

// Waitable is what Wait waits for: a *Queue with a message, or shut down; a *Connection with a message, or whose other
// end has gone; an *Event that is set; a *Semaphore with a permit; the end of a *Process; a *Result that is ready; an FD
// with something to read.
type Waitable interface {
	// lend gives what C takes, valid until the function is called; close then fires c, which may be nil.
	lend(c *cmp.Cancel) (cmp.Waitable, func(), error)
}

// FD is a descriptor for Wait, which must stay open meanwhile.
type FD int

func (fd FD) lend(*cmp.Cancel) (cmp.Waitable, func(), error) {
	return cmp.WaitableFD(int32(fd)), func() {}, nil
}

func (q *Queue) lend(c *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(q.h, c, (*cmp.Queue).Waitable)
}

func (c *Connection) lend(cancel *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(c.h, cancel, (*cmp.Connection).Waitable)
}

func (e *Event) lend(c *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(e.h, c, (*cmp.Event).Waitable)
}

func (s *Semaphore) lend(c *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(s.h, c, (*cmp.Semaphore).Waitable)
}

func (p *Process) lend(c *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(p.h, c, (*cmp.Process).Waitable)
}

func (r *Result) lend(c *cmp.Cancel) (cmp.Waitable, func(), error) {
	return lend(r.h, c, (*cmp.Result).Waitable)
}

func lend[T any](h *handle[T], c *cmp.Cancel, f func(*T) cmp.Waitable) (cmp.Waitable, func(), error) {
	ptr, err := h.enter()
	if err != nil {
		return cmp.Waitable{}, nil, err
	}
	if c == nil {
		return f(ptr), h.leave, nil
	}
	if !h.watch(c) {
		h.leave()
		return cmp.Waitable{}, nil, errorf(ErrClosed, "the handle is closed")
	}
	return f(ptr), func() {
		h.unwatch(c)
		h.leave()
	}, nil
}

// Wait waits until at least one of the items is ready, and gives all that are, in their order. It takes nothing: others
// may be faster, so go on with a Try method. Closing one of them ends the wait with ErrClosed.
func Wait(ctx context.Context, items ...Waitable) ([]Waitable, error) {
	defer runtime.KeepAlive(items)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Most calls need not wait, and then need no cancel either.
	ready, ret, err := waitOnce(items, 0, nil)
	if !wouldWait(ret) {
		return ready, err
	}
	c, made := cmp.CancelNew()
	if err := check(made); err != nil {
		return nil, err
	}
	defer c.Free()
	defer fireOnDone(ctx, c)()
	ready, ret, err = waitOnce(items, cmp.Forever, c)
	if ret.Status != cmp.ErrCancelled {
		return ready, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errorf(ErrClosed, "a handle was closed during the call")
}

func waitOnce(items []Waitable, timeout int64, c *cmp.Cancel) ([]Waitable, cmp.Ret, error) {
	raw := make([]cmp.Waitable, len(items))
	for i, item := range items {
		if item == nil {
			return nil, cmp.Ret{}, errorf(ErrInvalid, "item %d is nil", i)
		}
		lent, giveBack, err := item.lend(c)
		if err != nil {
			return nil, cmp.Ret{}, err
		}
		defer giveBack()
		raw[i] = lent
	}
	places, ret := cmp.Wait(raw, timeout, c)
	var ready []Waitable
	for _, i := range places {
		ready = append(ready, items[i])
	}
	return ready, ret, check(ret)
}
