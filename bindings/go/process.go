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

// Interrupt sends SIGINT.
func (p *Process) Interrupt() error {
	defer runtime.KeepAlive(p)
	return p.h.call((*cmp.Process).Interrupt)
}

// Stop sends SIGTERM, and SIGKILL if the process has not ended after grace. It returns when the process has ended. When
// ctx ends, no more is sent.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	defer runtime.KeepAlive(p)
	_, err := p.h.waitAtOnce(ctx, int64(grace), (*cmp.Process).Stop)
	return err
}

// KillTree kills the process and all that descends from it, and waits until they have ended: see mp_process_kill_tree.
// When ctx ends, only that wait does.
func (p *Process) KillTree(ctx context.Context) error {
	defer runtime.KeepAlive(p)
	_, err := p.h.waitAtOnce(ctx, cmp.Forever, (*cmp.Process).KillTree)
	return err
}

// Result is what the function returned, once the process has ended. A failed function's error is ErrTaskFailed, with its
// text; ErrWorkerDied says that it did not come to its end, and ErrState that it runs.
func (p *Process) Result() ([]byte, error) {
	defer runtime.KeepAlive(p)
	m, err := p.result()
	if err != nil {
		return nil, err
	}
	defer m.buffer.Free()
	return append([]byte{}, m.bytes...), nil
}

// ResultBuffer is Result without a copy: it stays in shared memory until the buffer is closed. All that one process gives
// are the same memory, which must not be written while there are several.
func (p *Process) ResultBuffer() (*Buffer, error) {
	defer runtime.KeepAlive(p)
	m, err := p.result()
	if err != nil {
		return nil, err
	}
	return own(m.buffer, cmp.Ret{}, (*cmp.Buffer).Free, func(h *handle[cmp.Buffer]) *Buffer { return &Buffer{h, m.bytes} })
}

func (p *Process) result() (m message, err error) {
	err = p.h.call(func(ptr *cmp.Process) (ret cmp.Ret) {
		m.buffer, m.bytes, ret = ptr.Result()
		return ret
	})
	return m, err
}

// Usage is what a process, and the children that it has waited for, have used of the machine.
type Usage struct {
	User, System             time.Duration // Processor time, in the program and in the kernel.
	MaxResident              uint64        // The most memory at once, in bytes.
	MinorFaults, MajorFaults uint64        // Page faults, without and with a disk.
	VoluntarySwitches        uint64        // How often it gave the processor up.
	InvoluntarySwitches      uint64        // How often another came first.
}

// Usage is what it has used, once it has ended; ErrNotFound if someone else reaped it.
func (p *Process) Usage() (Usage, error) {
	defer runtime.KeepAlive(p)
	u, err := ask(p.h, (*cmp.Process).Usage)
	return Usage{
		User: time.Duration(u.User), System: time.Duration(u.System), MaxResident: u.MaxResident,
		MinorFaults: u.MinorFaults, MajorFaults: u.MajorFaults,
		VoluntarySwitches: u.VoluntarySwitches, InvoluntarySwitches: u.InvoluntarySwitches,
	}, err
}

// CurrentProcessName is what this process is called: MainProcess in one that libmp did not start.
func CurrentProcessName() string { return cmp.CurrentProcessName() }

// ParentPid is the process that has made this one by libmp; 0 if none has.
func ParentPid() int { return cmp.ParentPid() }

// ActiveChildren are the process ids of this process's running children that were started as a Process.
func ActiveChildren() ([]int, error) {
	pids := make([]int32, 16)
	for {
		n, ret := cmp.ActiveChildren(pids)
		if err := check(ret); err == nil {
			out := make([]int, n)
			for i := range out {
				out[i] = int(pids[i])
			}
			return out, nil
		} else if n <= len(pids) {
			return nil, err
		}
		pids = make([]int32, n)
	}
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
