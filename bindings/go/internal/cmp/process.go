package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// Limit is an mp_rlimit.
type Limit struct {
	Resource   int32
	Soft, Hard uint64
}

// Descriptor is an mp_fd_map.
type Descriptor struct{ FD, As int32 }

// ProcessOptions are the fields of mp_process_options. An empty Name or Dir is NULL.
type ProcessOptions struct {
	Name   string
	Daemon bool
	Start  int32
	Env    []string
	Dir    string
	Nice   int32
	CPUs   []int32
	Limits []Limit
	Files  []Descriptor
}

// FDNull is a Descriptor's FD for /dev/null, and NoLimit a Limit's.
const (
	FDNull  = int32(C.MP_FD_NULL)
	NoLimit = uint64(C.MP_NO_LIMIT)
)

// ChildVariable is the environment variable that only a child finds, until its mp_main_init.
const ChildVariable = "MP_CHILD"

// ProcessNew is mp_process_new, for the function that the arguments name.
func ProcessNew(args [][]byte, o ProcessOptions) (*Process, Ret) {
	in := newSlices(nil, args)
	defer in.free()
	var m memory
	defer m.free()
	var c C.mp_process_options
	C.mp_process_options_init(&c)
	c.name, c.cwd = m.text(o.Name), m.text(o.Dir)
	c.daemon, c.start_method, c.nice = C.bool(o.Daemon), C.int32_t(o.Start), C.int32_t(o.Nice)
	env := array[*C.char](&m, len(o.Env))
	for i, entry := range o.Env {
		env[i] = m.textOrEmpty(entry)
	}
	cpus := array[C.int32_t](&m, len(o.CPUs))
	for i, cpu := range o.CPUs {
		cpus[i] = C.int32_t(cpu)
	}
	limits := array[C.mp_rlimit](&m, len(o.Limits))
	for i, l := range o.Limits {
		limits[i] = C.mp_rlimit{resource: C.int32_t(l.Resource), soft: C.uint64_t(l.Soft), hard: C.uint64_t(l.Hard)}
	}
	fds := array[C.mp_fd_map](&m, len(o.Files))
	for i, f := range o.Files {
		fds[i] = C.mp_fd_map{fd: C.int32_t(f.FD), as: C.int32_t(f.As)}
	}
	c.env, c.nenv = unsafe.SliceData(env), C.size_t(len(env))
	c.cpus, c.ncpus = unsafe.SliceData(cpus), C.size_t(len(cpus))
	c.rlimits, c.nrlimits = unsafe.SliceData(limits), C.size_t(len(limits))
	c.fds, c.nfds = unsafe.SliceData(fds), C.size_t(len(fds))
	r := C.cmp_process_new(in.first, in.n, &c)
	return (*Process)(r.ptr), take(r)
}

// memory is what C is to read in one call.
type memory []unsafe.Pointer

func (m *memory) free() {
	for _, p := range *m {
		C.free(p)
	}
}

func (m *memory) text(s string) *C.char {
	if s == "" {
		return nil
	}
	return m.textOrEmpty(s)
}

func (m *memory) textOrEmpty(s string) *C.char {
	text := C.CString(s)
	*m = append(*m, unsafe.Pointer(text))
	return text
}

// array is room for n values, zero, in C's memory.
func array[T any](m *memory, n int) []T {
	if n == 0 {
		return nil
	}
	var one T
	p := C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(one)))
	*m = append(*m, p)
	return unsafe.Slice((*T)(p), n)
}

// Start is mp_process_start.
func (p *Process) Start() Ret { return take(C.cmp_process_start(p.c())) }

// Join is mp_process_join under a cancel, which may be nil.
func (p *Process) Join(timeout int64, c *Cancel) Ret {
	return take(C.cmp_process_join(p.c(), C.int64_t(timeout), c.c()))
}

// Terminate is mp_process_terminate.
func (p *Process) Terminate() Ret { return take(C.cmp_process_terminate(p.c())) }

// Kill is mp_process_kill.
func (p *Process) Kill() Ret { return take(C.cmp_process_kill(p.c())) }

// Interrupt is mp_process_interrupt.
func (p *Process) Interrupt() Ret { return take(C.cmp_process_interrupt(p.c())) }

// Stop is mp_process_stop under a cancel, which may be nil.
func (p *Process) Stop(grace int64, c *Cancel) Ret {
	return take(C.cmp_process_stop(p.c(), C.int64_t(grace), c.c()))
}

// KillTree is mp_process_kill_tree under a cancel, which may be nil.
func (p *Process) KillTree(_ int64, c *Cancel) Ret {
	return take(C.cmp_process_kill_tree(p.c(), c.c()))
}

// Result is mp_process_result. The bytes are the buffer's, valid until its Free.
func (p *Process) Result() (*Buffer, []byte, Ret) {
	r := C.cmp_process_result(p.c())
	if r.ptr == nil {
		return nil, nil, take(r)
	}
	return (*Buffer)(r.ptr), view(unsafe.Pointer(r.data), C.size_t(r.num)), take(r)
}

// Usage is mp_usage.
type Usage struct {
	User, System                           int64
	MaxResident, MinorFaults, MajorFaults  uint64
	VoluntarySwitches, InvoluntarySwitches uint64
}

// Usage is mp_process_usage.
func (p *Process) Usage() (Usage, Ret) {
	var u C.mp_usage
	ret := take(C.cmp_process_usage(p.c(), &u))
	return Usage{
		User: int64(u.user), System: int64(u.system), MaxResident: uint64(u.max_resident),
		MinorFaults: uint64(u.minor_faults), MajorFaults: uint64(u.major_faults),
		VoluntarySwitches: uint64(u.voluntary_switches), InvoluntarySwitches: uint64(u.involuntary_switches),
	}, ret
}

// CurrentProcessName is mp_current_process_name.
func CurrentProcessName() string { return C.GoString(C.mp_current_process_name()) }

// ParentPid is mp_parent_pid.
func ParentPid() int { return int(C.mp_parent_pid()) }

// ActiveChildren is mp_active_children: how many there are, of which as many as fit are written.
func ActiveChildren(pids []int32) (int, Ret) {
	r := C.cmp_active_children((*C.int32_t)(unsafe.SliceData(pids)), C.size_t(len(pids)))
	return int(r.num), take(r)
}

// IsAlive is mp_process_is_alive.
func (p *Process) IsAlive() (bool, Ret) {
	r := C.cmp_process_is_alive(p.c())
	return r.num != 0, take(r)
}

// Pid is mp_process_pid.
func (p *Process) Pid() (int, Ret) {
	r := C.cmp_process_pid(p.c())
	return int(r.num), take(r)
}

// ExitCode is mp_process_exitcode.
func (p *Process) ExitCode() (int, Ret) {
	r := C.cmp_process_exitcode(p.c())
	return int(int64(r.num)), take(r)
}

// Name is mp_process_name.
func (p *Process) Name() string { return p.text(true) }

// Repr is mp_process_repr.
func (p *Process) Repr() string { return p.text(false) }

func (p *Process) text(nameOnly bool) string {
	r := C.cmp_process_text(p.c(), C.bool(nameOnly))
	if ret := take(r); ret.Status < 0 {
		return ret.Text
	}
	defer C.free(r.ptr)
	return C.GoString((*C.char)(r.ptr))
}

// Free is mp_process_free.
func (p *Process) Free() { C.mp_process_free(p.c()) }
