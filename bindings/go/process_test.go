package mp_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

func TestProcess(t *testing.T) {
	ctx := watchdog(t)
	p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{Name: "worker"}, "exit", []byte("7")))
	if p.Name() != "worker" || !strings.Contains(p.String(), "worker, initial") {
		t.Fatalf("%s is %s", p.Name(), p)
	}
	want(t, p.Join(ctx), mp.ErrState)
	ok(t, p.Start())
	want(t, p.Start(), mp.ErrState)
	if pid := must[int](t)(p.Pid()); pid <= 0 {
		t.Fatalf("pid %d", pid)
	}
	ok(t, p.Join(ctx))
	if code := must[int](t)(p.ExitCode()); code != 7 {
		t.Fatalf("exit code %d", code)
	}
	ok(t, p.Close())
	ok(t, p.Close())
}

func TestProcessEnds(t *testing.T) {
	ctx := watchdog(t)
	for _, end := range []struct {
		f    func(*mp.Process) error
		code int
	}{{(*mp.Process).Terminate, -int(syscall.SIGTERM)}, {(*mp.Process).Kill, -int(syscall.SIGKILL)}} {
		p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{Daemon: true}, "sleep", []byte("1h")))
		ok(t, p.Start())
		want(t, p.TryJoin(time.Millisecond), mp.ErrTimeout)
		_, err := p.ExitCode()
		want(t, err, mp.ErrState)
		if !must[bool](t)(p.IsAlive()) {
			t.Fatal("not alive")
		}
		ok(t, end.f(p))
		ok(t, p.Join(ctx))
		if code := must[int](t)(p.ExitCode()); code != end.code {
			t.Fatalf("exit code %d, not %d", code, end.code)
		}
		ok(t, p.Close())
	}
	noChildren(t)
}

func TestStartMethods(t *testing.T) {
	for _, start := range []mp.StartMethod{mp.StartFork, mp.StartForkserver} {
		_, err := mp.NewProcess(mp.ProcessOptions{Start: start}, "exit", []byte("0"))
		want(t, err, mp.ErrUnsupported)
		_, err = mp.NewPool(mp.PoolOptions{Start: start})
		want(t, err, mp.ErrUnsupported)
	}
	_, err := mp.NewProcess(mp.ProcessOptions{}, "nobody")
	want(t, err, mp.ErrNotFound)
	if !strings.Contains(err.Error(), "shout") {
		t.Fatalf("does not name the functions there are: %v", err)
	}
}
