package mp_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"libmp.dev/mp"
)

// gate is what threads see of a test: they share its memory.
var gate struct {
	begun, ended atomic.Int32
	open         atomic.Pointer[chan struct{}]
}

func waitForGate(c *mp.Call) error {
	gate.begun.Add(1)
	<-*gate.open.Load()
	gate.ended.Add(1)
	return nil
}

// newGate is closed; the function opens it.
func newGate() func() {
	open := make(chan struct{})
	gate.begun.Store(0)
	gate.ended.Store(0)
	gate.open.Store(&open)
	return func() { close(open) }
}

func threadOptions(name string) mp.ProcessOptions {
	return mp.ProcessOptions{Name: name, Start: mp.StartThread}
}

func TestThread(t *testing.T) {
	ctx := watchdog(t)
	open := newGate()
	p := must[*mp.Process](t)(mp.NewProcess(threadOptions("twin"), "waitForGate"))
	ok(t, p.Start())
	want(t, p.Start(), mp.ErrState)
	if pid := must[int](t)(p.Pid()); pid != os.Getpid() {
		t.Fatalf("pid %d", pid)
	}
	want(t, p.TryJoin(time.Millisecond), mp.ErrTimeout)
	want(t, p.Terminate(), mp.ErrUnsupported)
	want(t, p.Kill(), mp.ErrUnsupported)
	if !must[bool](t)(p.IsAlive()) || !strings.Contains(p.String(), "twin, started") {
		t.Fatal(p.String())
	}
	open()
	ok(t, p.Join(ctx))
	if code := must[int](t)(p.ExitCode()); code != 0 || gate.ended.Load() != 1 {
		t.Fatal(code, gate.ended.Load())
	}
	ok(t, p.Close())
}

func TestThreadCodes(t *testing.T) {
	ctx := watchdog(t)
	for i := range 200 {
		p := must[*mp.Process](t)(mp.NewProcess(threadOptions(""), "exit", []byte(strconv.Itoa(i))))
		ok(t, p.Start())
		ok(t, p.Join(ctx))
		if code := must[int](t)(p.ExitCode()); code != i {
			t.Fatalf("exit code %d, not %d", code, i)
		}
		ok(t, p.Close())
	}
}

func TestThreadPool(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{Processes: 3, Start: mp.StartThread})
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
	large := bytes.Repeat([]byte("l"), 3_000_000)
	if out := must[[]byte](t)(pool.Apply(ctx, "join", large)); !bytes.Equal(out, large) {
		t.Fatalf("%d bytes", len(out))
	}
	if out := must[[]byte](t)(pool.Apply(ctx, "pid")); string(out) != strconv.Itoa(os.Getpid()) {
		t.Fatalf("pid %s", out)
	}
	_, err := pool.Map(ctx, "shout", [][]byte{[]byte("a"), nil})
	want(t, err, mp.ErrTaskFailed)
	if task := failure(t, err); task.Index != 1 || task.Code != 17 {
		t.Fatalf("%+v", task)
	}
	_, err = pool.Apply(ctx, "panic", []byte("now"))
	want(t, err, mp.ErrTaskFailed)
	if task := failure(t, err); !strings.Contains(task.Text, "panic: boom: now") {
		t.Fatalf("text %q", task.Text)
	}
	var called atomic.Int32
	r := must[*mp.Result](t)(pool.MapAsync("shout", items, mp.TaskOptions{
		OnResult: func(items [][]byte) { called.Store(int32(len(items))) },
	}))
	must[[][]byte](t)(r.Get(ctx))
	ok(t, r.Close())
	if called.Load() != int32(len(items)) {
		t.Fatalf("%d items in the callback", called.Load())
	}
}

// Terminating cancels at once, and waits for what runs.
func TestThreadPoolTerminate(t *testing.T) {
	ctx := watchdog(t)
	open := newGate()
	pool := must[*mp.Pool](t)(mp.NewPool(mp.PoolOptions{Processes: 2, Start: mp.StartThread}))
	r := must[*mp.Result](t)(pool.MapAsync("waitForGate", make([][]byte, 3), mp.TaskOptions{ChunkSize: 1}))
	for gate.begun.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	ok(t, pool.Terminate())
	_, err := r.Get(ctx)
	want(t, err, mp.ErrCancelled)
	if gate.ended.Load() != 0 {
		t.Fatal("a task has ended")
	}
	ok(t, r.Close())
	open()
	ok(t, pool.Close())
	if gate.ended.Load() != 2 {
		t.Fatalf("%d tasks have ended", gate.ended.Load())
	}
}
