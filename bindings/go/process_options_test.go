package mp_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"libmp.dev/mp"
)

// optioned starts a process with options.
func optioned(t *testing.T, o mp.ProcessOptions, name string, args ...[]byte) *mp.Process {
	t.Helper()
	p := must[*mp.Process](t)(mp.NewProcess(o, name, args...))
	t.Cleanup(func() { p.Close() })
	ok(t, p.Start())
	return p
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	ok(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// writeEnvironment writes it into 3: as this process sees it, and as a program that it runs does.
func writeEnvironment(*mp.Call) error {
	out := os.NewFile(3, "out")
	for _, entry := range os.Environ() {
		fmt.Fprintf(out, "%s\x00", entry)
	}
	c := exec.Command("env", "-0")
	c.Stdout = out
	return c.Run()
}

func TestProcessEnv(t *testing.T) {
	t.Setenv("MP_T_GONE", "1")
	t.Setenv("MP_T_STAYS", "1")
	r, w := pipe(t)
	p := optioned(t, mp.ProcessOptions{
		Env:   []string{"MP_T_SET=a=b", "MP_T_EMPTY=", "MP_T_GONE", "MP_T_TWICE=1", "MP_T_TWICE=2"},
		Files: map[int]*os.File{3: w},
	}, "writeEnvironment")
	ok(t, w.Close())
	found := strings.Split(string(must[[]byte](t)(io.ReadAll(r))), "\x00")
	exits(t, p, 0)
	expected := slices.DeleteFunc(os.Environ(), func(entry string) bool { return entry == "MP_T_GONE=1" })
	expected = append(expected, "MP_T_SET=a=b", "MP_T_EMPTY=", "MP_T_TWICE=2")
	expected = append(slices.Concat(expected, expected), "")
	slices.Sort(expected)
	slices.Sort(found)
	if !slices.Equal(expected, found) {
		t.Fatalf("%q\ninstead of\n%q", found, expected)
	}
}

func findEverything(c *mp.Call) error {
	dir, err := os.Getwd()
	if err != nil || dir != "/" {
		return fmt.Errorf("in %s: %v", dir, err)
	}
	// The system call answers 20 less the nice value.
	if value, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err != nil || value != 1 {
		return fmt.Errorf("nice %d: %v", value, err)
	}
	if n := mp.CPUCount(); n != 1 {
		return fmt.Errorf("%d CPUs", n)
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &l); err != nil || l.Max != 0 {
		return fmt.Errorf("limit %v: %v", l, err)
	}
	return nil
}

// someCPU is one that this process may use.
func someCPU(t *testing.T) int {
	t.Helper()
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile("/proc/self/status")))) {
		if list, found := strings.CutPrefix(line, "Cpus_allowed_list:"); found {
			var cpu int
			must[int](t)(fmt.Sscan(list, &cpu))
			return cpu
		}
	}
	t.Fatal("no list of CPUs")
	return 0
}

func TestProcessConditions(t *testing.T) {
	o := mp.ProcessOptions{Dir: "/", Nice: 100, CPUs: []int{someCPU(t)}, Limits: []mp.Limit{{Resource: syscall.RLIMIT_CORE}}}
	exits(t, optioned(t, o, "findEverything"), 0)
}

// copyLine copies a line from stdin to stdout and to 5.
func copyLine(*mp.Call) error {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Printf("out %s", line)
	if n, err := os.Stderr.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("%d bytes from /dev/null: %v", n, err)
	}
	_, err = os.NewFile(5, "five").WriteString(line)
	return err
}

func TestProcessFiles(t *testing.T) {
	inR, inW := pipe(t)
	outR, outW := pipe(t)
	fiveR, fiveW := pipe(t)
	must[int](t)(inW.WriteString("hello\n"))
	o := mp.ProcessOptions{Files: map[int]*os.File{0: inR, 1: outW, 2: nil, 5: fiveW}}
	exits(t, optioned(t, o, "copyLine"), 0)
	ok(t, outW.Close())
	ok(t, fiveW.Close())
	if text := string(must[[]byte](t)(io.ReadAll(outR))); text != "out hello\n" {
		t.Fatalf("stdout: %q", text)
	}
	if text := string(must[[]byte](t)(io.ReadAll(fiveR))); text != "hello\n" {
		t.Fatalf("5: %q", text)
	}
}

func TestProcessOptionErrors(t *testing.T) {
	r, w := pipe(t)
	ok(t, w.Close())
	for _, c := range []struct {
		o      mp.ProcessOptions
		status error
	}{
		{mp.ProcessOptions{Env: []string{"=1"}}, mp.ErrInvalid},
		{mp.ProcessOptions{Env: []string{""}}, mp.ErrInvalid},
		{mp.ProcessOptions{Env: []string{"MP_CHILD=1"}}, mp.ErrInvalid},
		{mp.ProcessOptions{Env: []string{"A=\x00"}}, mp.ErrInvalid},
		{mp.ProcessOptions{CPUs: []int{1 << 40}}, mp.ErrInvalid},
		{mp.ProcessOptions{Limits: []mp.Limit{{Resource: -1}}}, mp.ErrInvalid},
		{mp.ProcessOptions{Limits: []mp.Limit{{Soft: mp.NoLimit}}}, mp.ErrInvalid},
		{mp.ProcessOptions{Files: map[int]*os.File{3: w}}, mp.ErrInvalid},
		{mp.ProcessOptions{Files: map[int]*os.File{-1: r}}, mp.ErrInvalid},
	} {
		_, err := mp.NewProcess(c.o, "exit", []byte("0"))
		want(t, err, c.status)
	}
	for _, c := range []struct {
		o      mp.ProcessOptions
		status error
	}{
		{mp.ProcessOptions{Dir: "/no/such"}, mp.ErrNotFound},
		{mp.ProcessOptions{CPUs: []int{8191}}, mp.ErrInvalid},
		{mp.ProcessOptions{Files: map[int]*os.File{1 << 30: r}}, mp.ErrInvalid},
	} {
		p := must[*mp.Process](t)(mp.NewProcess(c.o, "exit", []byte("0")))
		want(t, p.Start(), c.status)
		ok(t, p.Close())
	}
	noChildren(t)
}
