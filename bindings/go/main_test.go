package mp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// The functions that children run. A child is this test binary again, and gets no further than mp.Main.
func init() {
	mp.Register("shout", func(c *mp.Call) error {
		if len(c.Arg(0)) == 0 {
			return mp.WithCode(17, errors.New("nothing to shout"))
		}
		return c.Return(append(bytes.ToUpper(c.Arg(0)), '!'))
	})
	mp.Register("join", func(c *mp.Call) error {
		out, err := c.ReturnBuffer(len(bytes.Join(c.Args(), nil)))
		copy(out, bytes.Join(c.Args(), nil))
		return err
	})
	mp.Register("panic", func(c *mp.Call) error { panic("boom: " + string(c.Arg(0))) })
	mp.Register("goexit", func(c *mp.Call) error {
		runtime.Goexit()
		return nil
	})
	mp.Register("pid", func(c *mp.Call) error { return c.Return([]byte(strconv.Itoa(os.Getpid()))) })
	mp.Register("kill", func(c *mp.Call) error {
		if string(c.Arg(0)) == "die" {
			return die()
		}
		return c.Return(c.Arg(0))
	})
	mp.Register("sleep", func(c *mp.Call) error {
		d, err := time.ParseDuration(string(c.Arg(0)))
		time.Sleep(d)
		return err
	})
	mp.Register("exit", func(c *mp.Call) error {
		code, err := strconv.Atoi(string(c.Arg(0)))
		if err != nil || code == 0 {
			return err
		}
		return mp.WithCode(code, errors.New("asked to"))
	})
	mp.Register("whoami", func(c *mp.Call) error {
		return c.Return([]byte(fmt.Sprintf("%s of %d", mp.CurrentProcessName(), mp.ParentPid())))
	})
	mp.Register("shell", func(c *mp.Call) error {
		return exec.Command("/bin/sh", "-c", string(c.Arg(0))).Run()
	})
	mp.Register("addUp", addUp)
	mp.Register("answerLengths", answerLengths)
	mp.Register("come", come)
	mp.Register("count", count)
	mp.Register("countTwice", countTwice)
	mp.Register("doubleAndDie", doubleAndDie)
	mp.Register("exclaim", exclaim)
	mp.Register("family", family)
	mp.Register("findEverything", findEverything)
	mp.Register("copyLine", copyLine)
	mp.Register("writeEnvironment", writeEnvironment)
	mp.Register("hold", hold)
	mp.Register("holdBoth", holdBoth)
	mp.Register("holdPermits", holdPermits)
	mp.Register("holdTwice", holdTwice)
	mp.Register("lengths", lengths)
	mp.Register("putAndDie", putAndDie)
	mp.Register("notifyAndDie", notifyAndDie)
	mp.Register("reserveAndDie", reserveAndDie)
	mp.Register("takeAndDie", takeAndDie)
	mp.Register("takeTurns", takeTurns)
	mp.Register("waitForGate", waitForGate)
	mp.Register("waitAndSet", waitAndSet)
	mp.Register("writeMemory", writeMemory)
	mp.Register("initialize", func(c *mp.Call) error { return os.Setenv("MP_TEST_WORD", string(c.Arg(0))) })
	mp.Register("word", func(c *mp.Call) error { return c.Return([]byte(os.Getenv("MP_TEST_WORD"))) })
}

func TestMain(m *testing.M) {
	mp.Main()
	os.Exit(m.Run())
}

// watchdog is a context for what must not hang.
func watchdog(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// die does not return.
func die() error {
	err := syscall.Kill(os.Getpid(), syscall.SIGKILL)
	for err == nil {
		time.Sleep(time.Second)
	}
	return err
}

// start starts a process of the function.
func start(t *testing.T, name string, args ...[]byte) *mp.Process {
	t.Helper()
	p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{}, name, args...))
	t.Cleanup(func() { p.Close() })
	ok(t, p.Start())
	return p
}

// exits waits for the process, which must end with that code.
func exits(t *testing.T, p *mp.Process, code int) {
	t.Helper()
	ok(t, p.Join(watchdog(t)))
	if got := must[int](t)(p.ExitCode()); got != code {
		t.Fatalf("exit code %d, not %d", got, code)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
	if target != nil && err.Error() == "" {
		t.Fatalf("%v without a text", target)
	}
}

// noChildren waits until this process has none left.
func noChildren(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := children()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("children left: %v", left)
		}
	}
}

func children() (pids []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, _ := os.ReadFile(path)
		// pid (name) state ppid: the name may have blanks and parentheses.
		_, rest, found := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
		fields := strings.Fields(rest)
		if found && len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			pids = append(pids, filepath.Base(filepath.Dir(path))+" "+fields[0])
		}
	}
	return pids
}
