package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Process is a child, or a thread of this process, that runs one registered function.
type Process struct{ h *handle[cmp.Process] }

// ProcessOptions say how to make a process.
type ProcessOptions struct {
	Name   string // Empty: Process-1 and so on.
	Daemon bool   // Ends with its parent, however that ends; a thread is just not waited for.
	Start  StartMethod
}

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
	ptr, ret := cmp.ProcessNew(raw, o.Name, o.Daemon, start)
	return own(ptr, ret, (*cmp.Process).Free, func(h *handle[cmp.Process]) *Process { return &Process{h} })
}

// Start starts it; a second time is ErrState.
func (p *Process) Start() error {
	defer runtime.KeepAlive(p)
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
