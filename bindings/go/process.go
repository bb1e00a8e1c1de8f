package mp

import (
	"context"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Process is a child, or a thread of this process, that runs one registered function.
type Process struct {
	h     *handle[cmp.Process]
	files map[int]*os.File // Kept open for Start, which looks them up.
}

// ProcessOptions say how to make a process. Where they say nothing, it begins as this process is; what can't be had
// fails its Start.
type ProcessOptions struct {
	Name   string // Empty: Process-1 and so on.
	Daemon bool   // Ends with its parent, however that ends; a thread is just not waited for.
	Start  StartMethod

	// Env are changes of its environment, against this process's at Start: NAME=value sets a variable, NAME alone
	// removes it. Of two for one name the last counts.
	Env []string
	// Dir is its working directory; empty: this process's.
	Dir string
	// Nice is added to its nice value. Less than 0 needs a right.
	Nice int
	// CPUs are those that it may run on; none: those of this process.
	CPUs []int
	// Limits are resource limits of its own. Go itself raises a soft RLIMIT_NOFILE at its start.
	Limits []Limit
	// Files are open in it under these numbers, 0, 1 and 2 among them, where they are else this process's; nil is
	// /dev/null. They must be open until Start, and stay the caller's. There, os.NewFile makes files of the numbers.
	Files map[int]*os.File
}

// Limit is a resource limit, as for setrlimit: of RLIMIT_CPU and others of the system's numbers, which package syscall
// has.
type Limit struct {
	Resource   int
	Soft, Hard uint64
}

// NoLimit is none.
const NoLimit = cmp.NoLimit

// ExitUnknown is the exit code of a process that someone else reaped.
const ExitUnknown = int(cmp.ExitUnknown)

// NewProcess makes a process that will run the function registered as name. It exits with 0, or with the code of the
// function's error.
func NewProcess(o ProcessOptions, name string, args ...[]byte) (*Process, error) {
	start, err := o.Start.resolve()
	if err != nil {
		return nil, err
	}
	raw, err := arguments(name, args)
	if err != nil {
		return nil, err
	}
	c, err := o.raw()
	if err != nil {
		return nil, err
	}
	c.Start = start
	files := maps.Clone(o.Files)
	ptr, ret := cmp.ProcessNew(raw, c)
	return own(ptr, ret, (*cmp.Process).Free, func(h *handle[cmp.Process]) *Process { return &Process{h, files} })
}

// raw are the options for C.
func (o *ProcessOptions) raw() (c cmp.ProcessOptions, err error) {
	c = cmp.ProcessOptions{Name: o.Name, Daemon: o.Daemon, Env: o.Env, Dir: o.Dir, Nice: clamp(o.Nice)}
	for _, text := range append([]string{o.Name, o.Dir}, o.Env...) {
		if strings.ContainsRune(text, 0) {
			return c, errorf(ErrInvalid, "%q has a NUL inside", text)
		}
	}
	for _, cpu := range o.CPUs {
		c.CPUs = append(c.CPUs, clamp(cpu))
	}
	for _, l := range o.Limits {
		c.Limits = append(c.Limits, cmp.Limit{Resource: clamp(l.Resource), Soft: l.Soft, Hard: l.Hard})
	}
	for _, as := range slices.Sorted(maps.Keys(o.Files)) {
		fd, err := descriptor(o.Files[as])
		if err != nil {
			return c, errorf(ErrInvalid, "Files[%d]: %v", as, err)
		}
		c.Files = append(c.Files, cmp.Descriptor{FD: fd, As: clamp(as)})
	}
	return c, nil
}

// clamp makes an int32 of a number: of one that is too large, one that the library refuses.
func clamp(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// descriptor is the file's number. Unlike Fd, it leaves the file as it is.
func descriptor(f *os.File) (number int32, err error) {
	if f == nil {
		return cmp.FDNull, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(fd uintptr) { number = int32(fd) })
	return number, err
}

// Start starts it; a second time is ErrState.
func (p *Process) Start() error {
	defer runtime.KeepAlive(p)
	defer runtime.KeepAlive(p.files)
	return p.h.call((*cmp.Process).Start)
}

// Join waits until it has ended.
func (p *Process) Join(ctx context.Context) error {
	defer runtime.KeepAlive(p)
	_, err := p.h.forever(ctx, (*cmp.Process).Join)
	return err
}

// TryJoin is Join with a timeout; when it runs out, ErrTimeout.
func (p *Process) TryJoin(timeout time.Duration) error {
	defer runtime.KeepAlive(p)
	_, err := p.h.try(timeout, (*cmp.Process).Join)
	return err
}

// Terminate sends SIGTERM. It is no error if the process has already ended. A thread answers ErrUnsupported.
func (p *Process) Terminate() error {
	defer runtime.KeepAlive(p)
	return p.h.call((*cmp.Process).Terminate)
}

// Kill sends SIGKILL. A thread answers ErrUnsupported.
func (p *Process) Kill() error {
	defer runtime.KeepAlive(p)
	return p.h.call((*cmp.Process).Kill)
}

// IsAlive says whether it runs.
func (p *Process) IsAlive() (alive bool, err error) {
	defer runtime.KeepAlive(p)
	return ask(p.h, (*cmp.Process).IsAlive)
}

// Pid is its process id.
func (p *Process) Pid() (pid int, err error) {
	defer runtime.KeepAlive(p)
	return ask(p.h, (*cmp.Process).Pid)
}

// ExitCode is the exit code, -N after signal N, or ExitUnknown; ErrState while it runs.
func (p *Process) ExitCode() (code int, err error) {
	defer runtime.KeepAlive(p)
	return ask(p.h, (*cmp.Process).ExitCode)
}

// Name is its name.
func (p *Process) Name() string { return p.text((*cmp.Process).Name) }

// String is what it is and how it stands: <Process(Process-1, started)>.
func (p *Process) String() string { return p.text((*cmp.Process).Repr) }

func (p *Process) text(f func(*cmp.Process) string) string {
	defer runtime.KeepAlive(p)
	ptr, err := p.h.enter()
	if err != nil {
		return err.Error()
	}
	defer p.h.leave()
	return f(ptr)
}

// Close drops the handle. It does not end a process that runs.
func (p *Process) Close() error {
	p.h.close()
	return nil
}
