package mp

import (
	"context"
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"

	"libmp.dev/mp/internal/cmp"
)

// Result is the outcome of a map or an apply to come. It belongs to the process that submitted it. Closed early, it
// stops nothing.
type Result struct {
	h     *handle[cmp.Result]
	hooks *hooks
}

func resultOf(ptr *cmp.Result, hooked *hooks) *Result {
	r := &Result{newHandle(ptr, (*cmp.Result).Free), hooked}
	runtime.AddCleanup(r, (*handle[cmp.Result]).close, r.h)
	return r
}

// Get waits and gives what the items gave; after Apply there is one. Failures are as in Pool.Map.
func (r *Result) Get(ctx context.Context) ([][]byte, error) {
	defer runtime.KeepAlive(r)
	var failure *cmp.Failure
	_, err := r.h.forever(ctx, func(p *cmp.Result, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		failure, ret = p.Get(timeout, c)
		return ret
	})
	if failure != nil {
		err = taskError(failure)
	} else if err != nil {
		return nil, err
	} else if r.hooks != nil {
		err = r.hooks.panicked()
	}
	return r.items(), err
}

func (r *Result) items() [][]byte {
	ptr, err := r.h.enter()
	if err != nil {
		return nil
	}
	defer r.h.leave()
	return ptr.Items()
}

// Ready says whether Get would not wait.
func (r *Result) Ready() (ready bool, err error) {
	defer runtime.KeepAlive(r)
	return ask(r.h, (*cmp.Result).Ready)
}

// Progress is how many items are done, and of how many.
func (r *Result) Progress() (done, total int, err error) {
	defer runtime.KeepAlive(r)
	err = r.h.call(func(p *cmp.Result) (ret cmp.Ret) {
		done, total, ret = p.Progress()
		return ret
	})
	return done, total, err
}

// ErrorAt is the *TaskError of item i, nil if it succeeded, or ErrState if it is not ready.
func (r *Result) ErrorAt(i int) error {
	defer runtime.KeepAlive(r)
	ptr, err := r.h.enter()
	if err != nil {
		return err
	}
	defer r.h.leave()
	ready, ret := ptr.Ready()
	if err := check(ret); err != nil {
		return err
	}
	if !ready {
		return errorf(ErrState, "the result is not ready")
	}
	failure, _ := ptr.ErrorAt(i)
	if failure == nil {
		return nil
	}
	return taskError(failure)
}

// Close drops the result.
func (r *Result) Close() error {
	r.h.close()
	return nil
}

// hooks are the callbacks of one submission, known to the C side by a cgo.Handle.
type hooks struct {
	options TaskOptions
	mu      sync.Mutex
	err     error
}

// panicked is what a callback panicked with.
func (h *hooks) panicked() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// guard keeps a panic from running into the C frames below.
func (h *hooks) guard(name string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			h.mu.Lock()
			h.err = fmt.Errorf("mp: %s panicked: %v", name, r)
			h.mu.Unlock()
		}
	}()
	f()
}

func hooksOf(user uintptr) *hooks { return cgo.Handle(user).Value().(*hooks) }

func init() {
	cmp.Hooks.Result = func(user uintptr, r *cmp.Result) {
		if h := hooksOf(user); h.options.OnResult != nil {
			h.guard("OnResult", func() { h.options.OnResult(r.Items()) })
		}
	}
	cmp.Hooks.Error = func(user uintptr, f cmp.Failure) {
		if h := hooksOf(user); h.options.OnError != nil {
			h.guard("OnError", func() { h.options.OnError(taskError(&f)) })
		}
	}
	cmp.Hooks.Progress = func(user uintptr, done, total int) {
		if h := hooksOf(user); h.options.OnProgress != nil {
			h.guard("OnProgress", func() { h.options.OnProgress(done, total) })
		}
	}
	cmp.Hooks.Release = func(user uintptr) { cgo.Handle(user).Delete() }
}
