package mp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

func newPool(t *testing.T, o mp.PoolOptions) *mp.Pool {
	t.Helper()
	if o.Processes == 0 {
		o.Processes = 2
	}
	pool := must[*mp.Pool](t)(mp.NewPool(o))
	t.Cleanup(func() { ok(t, pool.Close()) })
	return pool
}

func failure(t *testing.T, err error) *mp.TaskError {
	t.Helper()
	var task *mp.TaskError
	if !errors.As(err, &task) {
		t.Fatalf("not a TaskError: %v", err)
	}
	return task
}

func TestMap(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	var items [][]byte
	for i := range 1000 {
		items = append(items, fmt.Append(nil, "item ", i))
	}
	out := must[[][]byte](t)(pool.Map(ctx, "shout", items))
	for i := range items {
		if want := fmt.Sprintf("ITEM %d!", i); string(out[i]) != want {
			t.Fatalf("item %d: %q, not %q", i, out[i], want)
		}
	}
	if out := must[[][]byte](t)(pool.Map(ctx, "shout", nil)); len(out) != 0 {
		t.Fatalf("%d results of nothing", len(out))
	}
	large := bytes.Repeat([]byte("l"), 3_000_000)
	out = must[[][]byte](t)(pool.Map(ctx, "join", [][]byte{large, {}, []byte("small")}))
	if !bytes.Equal(out[0], large) || out[1] == nil || len(out[1]) != 0 || string(out[2]) != "small" {
		t.Fatalf("lengths %d, %d, %d", len(out[0]), len(out[1]), len(out[2]))
	}
}

func TestApply(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	out := must[[]byte](t)(pool.Apply(ctx, "join", []byte("a"), nil, []byte("bc")))
	if string(out) != "abc" {
		t.Fatalf("got %q", out)
	}
	if out := must[[]byte](t)(pool.Apply(ctx, "join")); len(out) != 0 {
		t.Fatalf("got %q", out)
	}
	_, err := pool.Apply(ctx, "nobody")
	want(t, err, mp.ErrNotFound)
}

func TestTaskErrors(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	out, err := pool.Map(ctx, "shout", [][]byte{[]byte("a"), nil, []byte("c")})
	want(t, err, mp.ErrTaskFailed)
	task := failure(t, err)
	if task.Index != 1 || task.Code != 17 || !strings.Contains(task.Text, "nothing to shout") {
		t.Fatalf("%+v", task)
	}
	if string(out[0]) != "A!" || out[1] != nil || string(out[2]) != "C!" {
		t.Fatalf("the others: %q", out)
	}
	_, err = pool.Apply(ctx, "panic", []byte("now"))
	want(t, err, mp.ErrTaskFailed)
	task = failure(t, err)
	if !strings.Contains(task.Text, "panic: boom: now") || strings.Contains(task.Text, "goroutine") {
		t.Fatalf("text %q", task.Text)
	}
	if !strings.Contains(task.Stack, "main_test.go") {
		t.Fatalf("stack %q", task.Stack)
	}
}

func TestWorkerDeath(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	out, err := pool.Map(ctx, "kill", [][]byte{[]byte("a"), []byte("die"), []byte("c")})
	want(t, err, mp.ErrWorkerDied)
	task := failure(t, err)
	if task.Index != 1 || task.Pid <= 0 || task.Signal != syscall.SIGKILL {
		t.Fatalf("%+v", task)
	}
	if string(out[0]) != "a" || out[1] != nil || string(out[2]) != "c" {
		t.Fatalf("the others: %q", out)
	}
	// Nor can a function leave its worker hanging.
	_, err = pool.Apply(ctx, "goexit")
	want(t, err, mp.ErrWorkerDied)
	if task := failure(t, err); task.Code != 70 || task.Signal != 0 {
		t.Fatalf("%+v", task)
	}
	// The pool goes on.
	if out := must[[]byte](t)(pool.Apply(ctx, "kill", []byte("alive"))); string(out) != "alive" {
		t.Fatalf("got %q", out)
	}
}

// A context ends a Map of a task that takes a minute, long before that; Close then ends the task too.
func TestCancelMap(t *testing.T) {
	pool := must[*mp.Pool](t)(mp.NewPool(mp.PoolOptions{Processes: 2}))
	must[[]byte](t)(pool.Apply(watchdog(t), "pid")) // the workers run
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	_, err := pool.Map(ctx, "sleep", [][]byte{[]byte("60s"), []byte("60s"), []byte("60s")})
	if err != context.Canceled {
		t.Fatalf("got %v", err)
	}
	ok(t, pool.Close())
	if took := time.Since(began); took > 10*time.Second {
		t.Fatalf("took %v", took)
	}
	noChildren(t)
	_, err = pool.Map(watchdog(t), "shout", nil)
	want(t, err, mp.ErrClosed)
	ok(t, pool.Close())
}

func TestContextDoneBefore(t *testing.T) {
	pool := newPool(t, mp.PoolOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := pool.Apply(ctx, "pid"); err != context.Canceled {
		t.Fatalf("got %v", err)
	}
}

func TestAsync(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	r := must[*mp.Result](t)(pool.MapAsync("shout", [][]byte{[]byte("a"), nil}, mp.TaskOptions{ChunkSize: 1}))
	defer r.Close()
	out, err := r.Get(ctx)
	want(t, err, mp.ErrTaskFailed)
	if string(out[0]) != "A!" || !must[bool](t)(r.Ready()) {
		t.Fatalf("got %q", out)
	}
	if err := r.ErrorAt(0); err != nil {
		t.Fatal(err)
	}
	if task := failure(t, r.ErrorAt(1)); task.Code != 17 || task.Index != 1 {
		t.Fatalf("%+v", task)
	}
	if done, total, err := r.Progress(); done != 2 || total != 2 || err != nil {
		t.Fatal(done, total, err)
	}
	if _, err := pool.MapAsync("shout", nil, mp.TaskOptions{ChunkSize: -1}); !errors.Is(err, mp.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
}

func TestResultNotReady(t *testing.T) {
	pool := must[*mp.Pool](t)(mp.NewPool(mp.PoolOptions{Processes: 1}))
	r := must[*mp.Result](t)(pool.ApplyAsync(mp.TaskOptions{}, "sleep", []byte("1h")))
	if must[bool](t)(r.Ready()) {
		t.Fatal("ready")
	}
	want(t, r.ErrorAt(0), mp.ErrState)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := r.Get(ctx)
	want(t, err, context.DeadlineExceeded)
	ok(t, pool.Terminate())
	if _, err := r.Get(watchdog(t)); err == nil {
		t.Fatal("a terminated task succeeded")
	}
	ok(t, pool.Close())
	ok(t, r.Close())
	noChildren(t)
}

func TestCallbacks(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	var results, failures, progress atomic.Int64
	o := mp.TaskOptions{
		OnResult:   func(items [][]byte) { results.Add(int64(len(items))) },
		OnError:    func(e *mp.TaskError) { failures.Add(int64(e.Code)) },
		OnProgress: func(done, total int) { progress.Store(int64(done)) },
	}
	get := func(items ...string) error {
		t.Helper()
		var raw [][]byte
		for _, item := range items {
			raw = append(raw, []byte(item))
		}
		r := must[*mp.Result](t)(pool.MapAsync("shout", raw, o))
		defer r.Close()
		_, err := r.Get(ctx)
		return err
	}
	ok(t, get("a", "b"))
	if results.Load() != 2 || failures.Load() != 0 {
		t.Fatal(results.Load(), failures.Load())
	}
	want(t, get("a", ""), mp.ErrTaskFailed)
	if results.Load() != 2 || failures.Load() != 17 {
		t.Fatal(results.Load(), failures.Load())
	}
	o.OnResult = func([][]byte) { panic("in the callback") }
	if err := get("a"); err == nil || !strings.Contains(err.Error(), "in the callback") {
		t.Fatalf("got %v", err)
	}
}

func TestInitializer(t *testing.T) {
	ctx := watchdog(t)
	pool, err := mp.NewPool(mp.PoolOptions{Initializer: "initialize", InitializerArgs: [][]byte{[]byte("ready")}})
	if errors.Is(err, mp.ErrUnsupported) {
		return // by the library, which says so; never ignored
	}
	ok(t, err)
	defer pool.Close()
	out := must[[][]byte](t)(pool.Map(ctx, "word", make([][]byte, 4)))
	for _, word := range out {
		if string(word) != "ready" {
			t.Fatalf("got %q", out)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	failed := make(chan error)
	for g := range 32 {
		go func() {
			for i := range 50 {
				in := fmt.Append(nil, "goroutine ", g, " task ", i)
				out, err := pool.Apply(ctx, "join", in)
				if err != nil || !bytes.Equal(out, in) {
					failed <- fmt.Errorf("%q: %q, %w", in, out, err)
					return
				}
			}
			failed <- nil
		}()
	}
	for range 32 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestPoolLeavesNothing(t *testing.T) {
	ctx := watchdog(t)
	pool := must[*mp.Pool](t)(mp.NewPool(mp.PoolOptions{Processes: 3}))
	must[[][]byte](t)(pool.Map(ctx, "pid", make([][]byte, 10)))
	ok(t, pool.Close())
	noChildren(t)
}
