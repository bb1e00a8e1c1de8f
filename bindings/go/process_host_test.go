package mp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// A Go program has children of its own beside libmp's: neither takes the other's ends away.
func TestBesideOsExec(t *testing.T) {
	ctx := watchdog(t)
	var group sync.WaitGroup
	failures := make(chan error, 100)
	for range 3 {
		group.Add(2)
		go func() {
			defer group.Done()
			for range 15 {
				err := exec.CommandContext(ctx, "/bin/sh", "-c", "exit 3").Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 3 {
					failures <- err
				}
			}
		}()
		go func() {
			defer group.Done()
			for range 5 {
				if err := exitsWithSeven(ctx); err != nil {
					failures <- err
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	for err := range failures {
		t.Errorf("another end than it should be: %v", err)
	}
	noChildren(t)
}

func exitsWithSeven(ctx context.Context) error {
	p, err := mp.NewProcess(mp.ProcessOptions{}, "exit", []byte("7"))
	if err != nil {
		return err
	}
	defer p.Close()
	if err := errors.Join(p.Start(), p.Join(ctx)); err != nil {
		return err
	}
	code, err := p.ExitCode()
	if err == nil && code != 7 {
		return errors.New("not 7")
	}
	return err
}

// What os/exec starts gets none of libmp's descriptors.
func TestOsExecGetsNoDescriptors(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{Processes: 1})
	must[[]byte](t)(pool.Apply(ctx, "pid"))
	look := `for i in 3 4 5 6 7 8 9; do
		case "$(readlink /proc/$$/fd/$i)" in /memfd:*|*pidfd*) exit 1;; esac
	done`
	for range 5 {
		ok(t, exec.CommandContext(ctx, "/bin/sh", "-c", look).Run())
	}
}

// Go's runtime sees to signals by handlers of its own. They go on to work, and a child begins without them.
func TestBesideSignalNotify(t *testing.T) {
	ctx := watchdog(t)
	heard := make(chan os.Signal, 100)
	signal.Notify(heard, syscall.SIGCHLD, syscall.SIGUSR1, syscall.SIGTERM)
	defer signal.Stop(heard)
	signal.Ignore(syscall.SIGINT)
	defer signal.Reset(syscall.SIGINT)
	for range 5 {
		ok(t, exitsWithSeven(ctx))
	}
	hears(t, heard, syscall.SIGCHLD)
	ok(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	hears(t, heard, syscall.SIGUSR1)

	p := start(t, "sleep", []byte("1h"))
	ok(t, p.Terminate())
	exits(t, p, -int(syscall.SIGTERM))

	pool := newPool(t, mp.PoolOptions{Processes: 2})
	for range 3 {
		_, err := pool.Apply(ctx, "kill", []byte("die"))
		want(t, err, mp.ErrWorkerDied)
	}
	if out := must[[]byte](t)(pool.Apply(ctx, "shout", []byte("a"))); string(out) != "A!" {
		t.Fatalf("%q", out)
	}
}

func hears(t *testing.T, heard <-chan os.Signal, want os.Signal) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-heard:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("did not hear %v", want)
		}
	}
}

// hostVariable makes this program the host of TestHostDies.
const hostVariable = "MP_TEST_HOST"

// TestHost runs only in the process that TestHostDies starts: it has a daemon and a pool.
func TestHost(t *testing.T) {
	if os.Getenv(hostVariable) == "" {
		t.Skip("only as the host of TestHostDies")
	}
	ok(t, os.Unsetenv(hostVariable))
	ctx := watchdog(t)
	p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{Daemon: true}, "family"))
	ok(t, p.Start())
	pool := newPool(t, mp.PoolOptions{Processes: 2})
	must[[]byte](t)(pool.Apply(ctx, "pid"))
	os.Stdout.WriteString("pool\n")
	time.Sleep(time.Minute)
}

// family starts a process that is no daemon, says so, and stays.
func family(c *mp.Call) error {
	p, err := mp.NewProcess(mp.ProcessOptions{}, "sleep", []byte("1m"))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	os.Stdout.WriteString("daemon\n")
	time.Sleep(time.Minute)
	return nil
}

// A Go host that is killed takes its daemons, what they have started, and its pools with it.
func TestHostDies(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		cmd := exec.CommandContext(watchdog(t), os.Args[0], "-test.run=^TestHost$")
		cmd.Env = append(os.Environ(), hostVariable+"=1")
		out := must[io.ReadCloser](t)(cmd.StdoutPipe())
		ok(t, cmd.Start())
		lines := bufio.NewReader(out)
		for said := ""; !strings.Contains(said, "pool") || !strings.Contains(said, "daemon"); {
			said += must[string](t)(lines.ReadString('\n'))
		}
		ok(t, cmd.Process.Signal(end))
		// The pipe is the stdout of all of them.
		gone := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, lines)
			gone <- err
		}()
		select {
		case err := <-gone:
			ok(t, err)
		case <-time.After(20 * time.Second):
			t.Fatal("somebody of the family is left")
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("the host ended with %v", err)
		}
	}
}
