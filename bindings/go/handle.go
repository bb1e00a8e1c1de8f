package mp

import (
	"context"
	"runtime"
	"sync"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// handle is one C handle with the calls that are inside it: close lets no more in, ends the waits, and the last one out
// frees it.
type handle[T any] struct {
	free func(*T)

	mu     sync.Mutex
	ptr    *T
	users  int
	closed bool
	lent   bool
	waits  map[*cmp.Cancel]struct{}
}

func newHandle[T any](ptr *T, free func(*T)) *handle[T] { return &handle[T]{ptr: ptr, free: free} }

// own makes a Go object of what a C call has made: dress gives it its type, and what is not closed goes with it.
func own[W, T any](ptr *T, ret cmp.Ret, free func(*T), dress func(*handle[T]) *W) (*W, error) {
	if err := check(ret); err != nil {
		return nil, err
	}
	h := newHandle(ptr, free)
	w := dress(h)
	runtime.AddCleanup(w, (*handle[T]).close, h)
	return w, nil
}

// enter lends the pointer until leave.
func (h *handle[T]) enter() (*T, error) {
	collectGarbage()
	if h == nil {
		return nil, errorf(ErrInvalid, "the object was not made by its New function")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errorf(ErrClosed, "the handle is closed")
	}
	h.users++
	return h.ptr, nil
}

func (h *handle[T]) leave() {
	h.mu.Lock()
	h.users--
	last := h.closed && h.users == 0
	h.mu.Unlock()
	if last {
		h.free(h.ptr)
	}
}

// close may be called often.
func (h *handle[T]) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	last := !h.closed && h.users == 0
	h.closed = true
	for c := range h.waits {
		c.Fire()
	}
	h.mu.Unlock()
	if last {
		h.free(h.ptr)
	}
}

// consume makes a C call that may end the object, and says whether it has: then nothing is left to free. One at a time.
func (h *handle[T]) consume(f func(*T) (ended bool, err error)) error {
	ptr, err := h.enter()
	if err != nil {
		return err
	}
	defer h.leave()
	h.mu.Lock()
	lent := h.lent
	h.lent = true
	h.mu.Unlock()
	if lent {
		return errorf(ErrState, "another call has the object")
	}
	ended, err := f(ptr)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lent = false
	if ended {
		h.closed, h.free = true, func(*T) {}
	}
	return err
}

// call makes one C call that does not wait.
func (h *handle[T]) call(f func(*T) cmp.Ret) error {
	ptr, err := h.enter()
	if err != nil {
		return err
	}
	defer h.leave()
	return check(f(ptr))
}

// ask makes one C call that answers something.
func ask[T, V any](h *handle[T], f func(*T) (V, cmp.Ret)) (v V, err error) {
	err = h.call(func(ptr *T) (ret cmp.Ret) {
		v, ret = f(ptr)
		return ret
	})
	return v, err
}

// tokenOf is the object's token, by its kind's C call.
func tokenOf[T any](h *handle[T], f func(*T) (cmp.Token, cmp.Ret)) (Token, error) {
	t, err := ask(h, f)
	return Token(t), err
}

// blocking is a C call that may wait.
type blocking[T any] func(ptr *T, timeout int64, c *cmp.Cancel) cmp.Ret

// try makes a blocking call with a timeout; close ends it.
func (h *handle[T]) try(timeout time.Duration, f blocking[T]) (cmp.Ret, error) {
	return h.wait(context.Background(), int64(timeout), f)
}

// forever makes a blocking call without a timeout; ctx and close end it.
func (h *handle[T]) forever(ctx context.Context, f blocking[T]) (cmp.Ret, error) {
	return h.wait(ctx, cmp.Forever, f)
}

func (h *handle[T]) wait(ctx context.Context, timeout int64, f blocking[T]) (cmp.Ret, error) {
	ptr, err := h.enter()
	if err != nil {
		return cmp.Ret{}, err
	}
	defer h.leave()
	if err := ctx.Err(); err != nil {
		return cmp.Ret{}, err
	}
	// Most calls need not wait, and then need no cancel either.
	ret := f(ptr, 0, nil)
	if timeout <= 0 || !wouldWait(ret) {
		return ret, check(ret)
	}
	return h.sleep(ctx, ptr, timeout, f)
}

// waitAtOnce is wait for calls that change something also when they do not wait, and so are made once. If ctx is done,
// they are cancelled calls.
func (h *handle[T]) waitAtOnce(ctx context.Context, timeout int64, f blocking[T]) (cmp.Ret, error) {
	ptr, err := h.enter()
	if err != nil {
		return cmp.Ret{}, err
	}
	defer h.leave()
	return h.sleep(ctx, ptr, timeout, f)
}

func (h *handle[T]) sleep(ctx context.Context, ptr *T, timeout int64, f blocking[T]) (cmp.Ret, error) {
	c, made := cmp.CancelNew()
	if err := check(made); err != nil {
		return made, err
	}
	defer c.Free()
	if !h.watch(c) {
		return cmp.Ret{}, errorf(ErrClosed, "the handle is closed")
	}
	defer h.unwatch(c)
	if ctx.Err() != nil {
		c.Fire()
	}
	defer fireOnDone(ctx, c)()
	ret := f(ptr, timeout, c)
	return ret, h.outcome(ctx, ret)
}

func wouldWait(r cmp.Ret) bool {
	return r.Status == cmp.ErrTimeout || r.Status == cmp.ErrFull || r.Status == cmp.ErrEmpty
}

// outcome names the cause of a cancelled wait.
func (h *handle[T]) outcome(ctx context.Context, ret cmp.Ret) error {
	if ret.Status != cmp.ErrCancelled {
		return check(ret)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errorf(ErrClosed, "the handle was closed during the call")
	}
	return check(ret)
}

func (h *handle[T]) watch(c *cmp.Cancel) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if h.waits == nil {
		h.waits = make(map[*cmp.Cancel]struct{})
	}
	h.waits[c] = struct{}{}
	return true
}

func (h *handle[T]) unwatch(c *cmp.Cancel) {
	h.mu.Lock()
	delete(h.waits, c)
	h.mu.Unlock()
}

// fireOnDone fires c when ctx is done. After the function that it answers has returned, c is not touched any more.
func fireOnDone(ctx context.Context, c *cmp.Cancel) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.Fire()
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
		}
	}
}
