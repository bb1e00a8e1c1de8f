package mp

import (
	"context"
	"errors"
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Pool is a pool of worker processes, or of threads. A worker that dies fails only the task in its hands, and is replaced.
type Pool struct {
	h         *handle[cmp.Pool]
	abandoned atomic.Bool // a Map or Apply was left by its context: its tasks are nobody's
	once      sync.Once
	closing   error
}

// PoolOptions say how to make a pool.
type PoolOptions struct {
	Processes        int      // 0: CPUCount.
	Initializer      string   // The registered function that each worker runs first; empty: none.
	InitializerArgs  [][]byte // Its arguments.
	MaxTasksPerChild int      // Items after which a worker is replaced; 0: no limit.
	Start            StartMethod
	TaskTimeout      time.Duration // 0: none.
	TaskRetries      int           // How often a task is repeated whose worker died.
}

// NewPool makes a pool.
func NewPool(o PoolOptions) (*Pool, error) {
	in, err := o.resolve()
	if err != nil {
		return nil, err
	}
	ptr, ret := cmp.PoolNew(in)
	if err := check(ret); err != nil {
		return nil, err
	}
	p := &Pool{h: newHandle(ptr, (*cmp.Pool).Free)}
	// Freeing ends workers, which may take a moment: not in the collector's goroutine.
	runtime.AddCleanup(p, func(h *handle[cmp.Pool]) { go h.close() }, p.h)
	return p, nil
}

func (o PoolOptions) resolve() (cmp.PoolOptions, error) {
	start, err := o.Start.resolve()
	if err != nil {
		return cmp.PoolOptions{}, err
	}
	for _, n := range []int{o.Processes, o.MaxTasksPerChild, o.TaskRetries} {
		if n < 0 || int64(n) > 1<<31 {
			return cmp.PoolOptions{}, errorf(ErrInvalid, "%d is out of range for a pool's options", n)
		}
	}
	in := cmp.PoolOptions{Processes: uint32(o.Processes), MaxTasksPerChild: uint32(o.MaxTasksPerChild), Start: start,
		TaskTimeout: int64(o.TaskTimeout), TaskRetries: uint32(o.TaskRetries)}
	if o.Initializer != "" {
		in.Initializer, err = arguments(o.Initializer, o.InitializerArgs)
	}
	return in, err
}

// Map runs the function registered as name on every item and waits for all. What item i gave is at i. If items failed,
// the error is the *TaskError of the first by index, and the results hold the others', nil where one failed. When ctx
// is done first, Map answers ctx.Err() at once; Close then terminates the pool, as the tasks still run.
func (p *Pool) Map(ctx context.Context, name string, items [][]byte) ([][]byte, error) {
	defer runtime.KeepAlive(p)
	r, err := p.MapAsync(name, items, TaskOptions{})
	if err != nil {
		return nil, err
	}
	return p.collect(ctx, r)
}

// Apply runs the function registered as name once and waits for its result.
func (p *Pool) Apply(ctx context.Context, name string, args ...[]byte) ([]byte, error) {
	defer runtime.KeepAlive(p)
	r, err := p.ApplyAsync(TaskOptions{}, name, args...)
	if err != nil {
		return nil, err
	}
	out, err := p.collect(ctx, r)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return out[0], nil
}

func (p *Pool) collect(ctx context.Context, r *Result) ([][]byte, error) {
	defer r.Close()
	out, err := r.Get(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		p.abandoned.Store(true)
	}
	return out, err
}

// TaskOptions say how to submit a task. The callbacks run one at a time on a thread of the pool; they should be quick,
// and must not wait for the same pool. For each submission there is one OnResult or one OnError. What they panic with
// is the error of Result.Get.
type TaskOptions struct {
	ChunkSize  int                   // For a map: items that travel together; 0: the library's choice.
	Timeout    time.Duration         // 0: the pool's; -1: none.
	Retries    int                   // 0: the pool's; -1: none.
	OnResult   func(items [][]byte)  // What the items gave.
	OnError    func(*TaskError)      // The first failure by index.
	OnProgress func(done, total int) // Now and then.
}

// MapAsync is Map without waiting.
func (p *Pool) MapAsync(name string, items [][]byte, o TaskOptions) (*Result, error) {
	if _, err := functions.find(name); err != nil {
		return nil, err
	}
	if o.ChunkSize < 0 {
		return nil, errorf(ErrInvalid, "a chunk can't have %d items", o.ChunkSize)
	}
	return p.submit(o, func(c *cmp.Pool, s cmp.Submit) (*cmp.Result, cmp.Ret) {
		return c.Map([]byte(name), items, o.ChunkSize, s)
	})
}

// ApplyAsync is Apply without waiting.
func (p *Pool) ApplyAsync(o TaskOptions, name string, args ...[]byte) (*Result, error) {
	raw, err := arguments(name, args)
	if err != nil {
		return nil, err
	}
	return p.submit(o, func(c *cmp.Pool, s cmp.Submit) (*cmp.Result, cmp.Ret) { return c.Apply(raw, s) })
}

func (p *Pool) submit(o TaskOptions, f func(*cmp.Pool, cmp.Submit) (*cmp.Result, cmp.Ret)) (*Result, error) {
	defer runtime.KeepAlive(p)
	ptr, err := p.h.enter()
	if err != nil {
		return nil, err
	}
	defer p.h.leave()
	s := cmp.Submit{Timeout: int64(o.Timeout), Retries: int32(o.Retries)}
	var hooked *hooks
	if o.OnResult != nil || o.OnError != nil || o.OnProgress != nil {
		hooked = &hooks{options: o}
		s.User, s.Progress = uintptr(cgo.NewHandle(hooked)), o.OnProgress != nil
	}
	raw, ret := f(ptr, s)
	if err := check(ret); err != nil {
		// A refused submission has no callbacks and no release.
		if s.User != 0 {
			cgo.Handle(s.User).Delete()
		}
		return nil, err
	}
	return resultOf(raw, hooked), nil
}

// Terminate ends the workers at once; what was not finished fails. Threads leave after the task in their hands, and Close
// waits for that.
func (p *Pool) Terminate() error {
	defer runtime.KeepAlive(p)
	return p.h.call((*cmp.Pool).Terminate)
}

// Close lets the pool finish what was submitted, waits until its workers have gone, and drops it. If a Map or Apply was
// left by its context, it terminates the pool instead. Results remain usable.
func (p *Pool) Close() error {
	defer runtime.KeepAlive(p)
	p.once.Do(func() {
		end := (*cmp.Pool).Close
		if p.abandoned.Load() {
			end = (*cmp.Pool).Terminate
		}
		p.closing = p.h.call(end)
		if p.closing == nil {
			p.closing = p.h.call(func(c *cmp.Pool) cmp.Ret { return c.Join(cmp.Forever, nil) })
		}
		p.h.close()
	})
	return p.closing
}
