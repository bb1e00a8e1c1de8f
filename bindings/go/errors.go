package mp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Status is a failure's number, an error in itself: errors.Is(err, mp.ErrTimeout) asks for one.
type Status int32

// Error is the status's name as C programs write it.
func (s Status) Error() string { return cmp.StatusName(int32(s)) }

// Is lets errors of the standard library match, such as os.ErrDeadlineExceeded and errors.ErrUnsupported.
func (s Status) Is(target error) bool {
	for _, known := range standard[s] {
		if known == target {
			return true
		}
	}
	return false
}

// The statuses, for errors.Is.
var (
	ErrInvalid     error = Status(cmp.ErrInvalid)
	ErrState       error = Status(cmp.ErrState)
	ErrTimeout     error = Status(cmp.ErrTimeout)
	ErrFull        error = Status(cmp.ErrFull)
	ErrEmpty       error = Status(cmp.ErrEmpty)
	ErrClosed      error = Status(cmp.ErrClosed)
	ErrEnd         error = Status(cmp.ErrEnd)
	ErrNotOwner    error = Status(cmp.ErrNotOwner)
	ErrOverflow    error = Status(cmp.ErrOverflow)
	ErrBroken      error = Status(cmp.ErrBroken)
	ErrNoMemory    error = Status(cmp.ErrNoMemory)
	ErrTooLarge    error = Status(cmp.ErrTooLarge)
	ErrStale       error = Status(cmp.ErrStale)
	ErrTaskFailed  error = Status(cmp.ErrTaskFailed)
	ErrTaskTimeout error = Status(cmp.ErrTaskTimeout)
	ErrWorkerDied  error = Status(cmp.ErrWorkerDied)
	ErrCancelled   error = Status(cmp.ErrCancelled)
	ErrBootstrap   error = Status(cmp.ErrBootstrap)
	ErrUnsupported error = Status(cmp.ErrUnsupported)
	ErrNotFound    error = Status(cmp.ErrNotFound)
	ErrExists      error = Status(cmp.ErrExists)
	ErrAccess      error = Status(cmp.ErrAccess)
	ErrAuth        error = Status(cmp.ErrAuth)
	ErrSystem      error = Status(cmp.ErrSystem)
	ErrInternal    error = Status(cmp.ErrInternal)
)

// standard is what the standard library says for the same.
var standard = map[Status][]error{
	Status(cmp.ErrInvalid):     {fs.ErrInvalid, syscall.EINVAL},
	Status(cmp.ErrTimeout):     {os.ErrDeadlineExceeded, syscall.ETIMEDOUT},
	Status(cmp.ErrTaskTimeout): {os.ErrDeadlineExceeded, syscall.ETIMEDOUT},
	Status(cmp.ErrFull):        {syscall.EAGAIN},
	Status(cmp.ErrEmpty):       {syscall.EAGAIN},
	Status(cmp.ErrClosed):      {fs.ErrClosed},
	Status(cmp.ErrEnd):         {io.EOF},
	Status(cmp.ErrNotOwner):    {syscall.EPERM},
	Status(cmp.ErrNoMemory):    {syscall.ENOMEM},
	Status(cmp.ErrTooLarge):    {syscall.EMSGSIZE},
	Status(cmp.ErrStale):       {syscall.ESTALE},
	Status(cmp.ErrCancelled):   {syscall.ECANCELED},
	Status(cmp.ErrUnsupported): {errors.ErrUnsupported, syscall.ENOTSUP},
	Status(cmp.ErrNotFound):    {fs.ErrNotExist, syscall.ENOENT},
	Status(cmp.ErrExists):      {fs.ErrExist, syscall.EEXIST},
	Status(cmp.ErrAccess):      {fs.ErrPermission, syscall.EACCES},
}

// Error is a failed call: its status, and the library's sentence that says what failed, which and why.
type Error struct {
	Status Status
	Text   string
}

// Error is the sentence.
func (e *Error) Error() string { return "mp: " + e.Text }

// Unwrap is the status, so that errors.Is finds it.
func (e *Error) Unwrap() error { return e.Status }

// TaskError is a task or an item of a map that failed.
type TaskError struct {
	Index   int            // Which item; 0 for Apply.
	Status  Status         // ErrTaskFailed, ErrWorkerDied, ErrTaskTimeout, ErrCancelled, ...
	Code    int            // The code given with WithCode, else 1; or the dead worker's exit code.
	Pid     int            // The process that had the task in its hands; 0 if none had.
	Signal  syscall.Signal // The signal that killed it; 0 if none did.
	Elapsed time.Duration  // How long the task ran.
	Text    string         // The text of the error or the panic.
	Stack   string         // Where the function panicked.
}

// Error is the task's text.
func (e *TaskError) Error() string { return e.Text }

// Unwrap is the status, so that errors.Is finds it.
func (e *TaskError) Unwrap() error { return e.Status }

// stackMark stands between a panic's text and its stack on the way from the worker.
const stackMark = "\n\ngoroutine "

func taskError(f *cmp.Failure) *TaskError {
	text, stack, found := strings.Cut(f.Text, stackMark)
	if found {
		stack = strings.TrimPrefix(stackMark, "\n\n") + stack
	}
	return &TaskError{Index: f.Index, Status: Status(f.Status), Code: int(f.Code), Pid: int(f.Pid),
		Signal: syscall.Signal(f.Signal), Elapsed: time.Duration(f.Elapsed), Text: text, Stack: stack}
}

// check is nil for success and notices.
func check(r cmp.Ret) error {
	if r.Status >= 0 {
		return nil
	}
	return &Error{Status: Status(r.Status), Text: r.Text}
}

func errorf(status error, format string, args ...any) error {
	return &Error{Status: status.(Status), Text: fmt.Sprintf(format, args...)}
}

// codeError is an error with its task's code.
type codeError struct {
	error
	code int
}

func (e codeError) Unwrap() error { return e.error }

// WithCode is err for a task function to return, with the code that TaskError then shows, or that a Process exits
// with. Other errors have code 1.
func WithCode(code int, err error) error { return codeError{err, code} }

func codeOf(err error) int32 {
	var coded codeError
	if errors.As(err, &coded) && coded.code != 0 {
		return int32(coded.code)
	}
	return 1
}
