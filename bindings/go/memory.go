package mp

import (
	"runtime"

	"libmp.dev/mp/internal/cmp"
)

// SharedMemory is plain memory that processes share, without a lock. With a name any program of the user finds it, and
// it stays until UnlinkSharedMemory; without one it goes with its last handle.
type SharedMemory struct{ h *handle[cmp.Memory] }

// CreateSharedMemory makes size zero bytes under the name, or without one if that is empty. A name that is taken is
// ErrExists.
func CreateSharedMemory(name string, size int) (*SharedMemory, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, errorf(ErrInvalid, "shared memory can't have %d bytes", size)
	}
	return memoryOf(cmp.MemoryCreate(name, size))
}

// OpenSharedMemory opens the shared memory of that name, whoever made it: shm_open and Python's SharedMemory too.
func OpenSharedMemory(name string) (*SharedMemory, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return memoryOf(cmp.MemoryOpen(name))
}

// UnlinkSharedMemory takes the name away; ErrNotFound if there is none. Who has the memory open keeps it.
func UnlinkSharedMemory(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return check(cmp.MemoryUnlink(name))
}

// SharedMemoryFromToken makes a handle of the shared memory that the token names.
func SharedMemoryFromToken(t Token) (*SharedMemory, error) {
	return memoryOf(cmp.MemoryFromToken((*cmp.Token)(&t)))
}

func memoryOf(ptr *cmp.Memory, ret cmp.Ret) (*SharedMemory, error) {
	return own(ptr, ret, (*cmp.Memory).Free, func(h *handle[cmp.Memory]) *SharedMemory { return &SharedMemory{h} })
}

// Token names the memory for other processes of the family.
func (m *SharedMemory) Token() (Token, error) {
	defer runtime.KeepAlive(m)
	return tokenOf(m.h, (*cmp.Memory).Token)
}

// Bytes are the memory itself, nil once it is closed. For their use see Value.Ptr.
func (m *SharedMemory) Bytes() []byte {
	defer runtime.KeepAlive(m)
	p, err := m.h.enter()
	if err != nil {
		return nil
	}
	defer m.h.leave()
	return p.Bytes()
}

// Name is its name, empty without one.
func (m *SharedMemory) Name() string {
	defer runtime.KeepAlive(m)
	p, err := m.h.enter()
	if err != nil {
		return ""
	}
	defer m.h.leave()
	return p.Name()
}

// Close drops this process's handle. It takes no name away.
func (m *SharedMemory) Close() error {
	m.h.close()
	return nil
}
