package mp_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

func TestProcessResult(t *testing.T) {
	for _, n := range []int{0, 5, 100000} {
		p := start(t, "join", bytes.Repeat([]byte("x"), n))
		exits(t, p, 0)
		for range 2 {
			if got := must[[]byte](t)(p.Result()); len(got) != n || strings.Trim(string(got), "x") != "" {
				t.Fatalf("%d bytes, not %d", len(got), n)
			}
		}
		b := must[*mp.Buffer](t)(p.ResultBuffer())
		ok(t, p.Close())
		if len(b.Bytes()) != n {
			t.Fatalf("%d bytes, not %d", len(b.Bytes()), n)
		}
		ok(t, b.Close())
	}
	p := start(t, "exit", []byte("7"))
	exits(t, p, 7)
	_, err := p.Result()
	want(t, err, mp.ErrTaskFailed)
	if !strings.Contains(err.Error(), "asked to") {
		t.Fatal(err)
	}
	p = start(t, "kill", []byte("die"))
	exits(t, p, -int(syscall.SIGKILL))
	_, err = p.Result()
	want(t, err, mp.ErrWorkerDied)
	_, err = p.ResultBuffer()
	want(t, err, mp.ErrWorkerDied)
	p = start(t, "sleep", []byte("1h"))
	_, err = p.Result()
	want(t, err, mp.ErrState)
	_, err = p.Usage()
	want(t, err, mp.ErrState)
	ok(t, p.Stop(watchdog(t), 0))
	if u := must[mp.Usage](t)(p.Usage()); u.MaxResident == 0 || u.User+u.System < 0 || u.MinorFaults == 0 {
		t.Fatalf("%+v", u)
	}
}

func TestProcessStop(t *testing.T) {
	ctx := watchdog(t)
	p := start(t, "sleep", []byte("1h"))
	ok(t, p.Interrupt())
	exitsBy(t, p, syscall.SIGINT)
	p = start(t, "sleep", []byte("1h"))
	ok(t, p.Stop(ctx, time.Minute))
	exitsBy(t, p, syscall.SIGTERM)

	// A stopped process hears nothing but SIGKILL.
	p = start(t, "sleep", []byte("1h"))
	pid := must[int](t)(p.Pid())
	ok(t, syscall.Kill(pid, syscall.SIGSTOP))
	for stat := ""; !strings.Contains(stat, ") T"); time.Sleep(time.Millisecond) {
		ok(t, ctx.Err())
		stat = string(must[[]byte](t)(os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")))
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	want(t, p.Stop(short, time.Hour), context.DeadlineExceeded)
	if !must[bool](t)(p.IsAlive()) {
		t.Fatal("a cancelled stop has killed it")
	}
	ok(t, p.Stop(ctx, 10*time.Millisecond))
	exitsBy(t, p, syscall.SIGKILL)
}

func exitsBy(t *testing.T, p *mp.Process, s syscall.Signal) { t.Helper(); exits(t, p, -int(s)) }

func TestProcessKillTree(t *testing.T) {
	ctx := watchdog(t)
	file := filepath.Join(t.TempDir(), "pids")
	p := start(t, "shell", []byte("sleep 1000 & echo $! >"+file+".new; mv "+file+".new "+file+"; wait"))
	var text []byte
	for err := error(os.ErrNotExist); err != nil; text, err = os.ReadFile(file) {
		ok(t, ctx.Err())
		time.Sleep(time.Millisecond)
	}
	pid := must[int](t)(strconv.Atoi(strings.TrimSpace(string(text))))
	ok(t, syscall.Kill(pid, 0))
	ok(t, p.KillTree(ctx))
	exitsBy(t, p, syscall.SIGKILL)
	if state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && !strings.Contains(string(state), ") Z") {
		t.Fatalf("it runs: %s", state)
	}
	ok(t, p.KillTree(ctx))
}

func TestProcessNames(t *testing.T) {
	if name := mp.CurrentProcessName(); name != "MainProcess" || mp.ParentPid() != 0 {
		t.Fatalf("%s of %d", name, mp.ParentPid())
	}
	p := start(t, "whoami")
	exits(t, p, 0)
	if got, want := string(must[[]byte](t)(p.Result())), p.Name()+" of "+strconv.Itoa(os.Getpid()); got != want {
		t.Fatalf("%q, not %q", got, want)
	}
	want(t, mp.SetExecutable("/nowhere"), mp.ErrNotFound)
	ok(t, mp.SetExecutable(must[string](t)(os.Executable())))
	p = start(t, "shout", []byte("a"))
	ok(t, mp.SetExecutable(""))
	exits(t, p, 0)
	if got := string(must[[]byte](t)(p.Result())); got != "A!" {
		t.Fatal(got)
	}
}

func TestActiveChildren(t *testing.T) {
	before := len(must[[]int](t)(mp.ActiveChildren()))
	var all []*mp.Process
	for range 20 {
		all = append(all, start(t, "sleep", []byte("1h")))
	}
	pids := must[[]int](t)(mp.ActiveChildren())
	if len(pids) != before+20 || !slices.Contains(pids, must[int](t)(all[19].Pid())) {
		t.Fatalf("%d children", len(pids))
	}
	for _, p := range all {
		ok(t, p.Stop(watchdog(t), 0))
	}
	if n := len(must[[]int](t)(mp.ActiveChildren())); n != before {
		t.Fatalf("%d children", n)
	}
}
