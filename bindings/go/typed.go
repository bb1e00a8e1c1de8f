package mp

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
)

// Func is a registered function of Go values.
type Func[In, Out any] struct{ name string }

// RegisterFunc registers a function of Go values, as Register does one of bytes. []byte and string travel as they are,
// everything else by encoding/gob.
func RegisterFunc[In, Out any](name string, fn func(In) (Out, error)) Func[In, Out] {
	if fn == nil {
		panic("mp: RegisterFunc needs a function")
	}
	Register(name, func(c *Call) error {
		in, err := decode[In](c.Arg(0))
		if err != nil {
			return err
		}
		out, err := fn(in)
		if err != nil {
			return err
		}
		data, err := encode(out)
		if err != nil {
			return err
		}
		return c.Return(data)
	})
	return Func[In, Out]{name}
}

// Name is what the function is registered as.
func (f Func[In, Out]) Name() string { return f.name }

// Map runs the function on every item in the pool's workers; see the function Map.
func (f Func[In, Out]) Map(ctx context.Context, pool *Pool, items []In) ([]Out, error) {
	return Map[In, Out](ctx, pool, f.name, items)
}

// Apply runs the function once in one of the pool's workers.
func (f Func[In, Out]) Apply(ctx context.Context, pool *Pool, in In) (Out, error) {
	return Apply[In, Out](ctx, pool, f.name, in)
}

// Map is Pool.Map for a function registered with RegisterFunc. Failed items are zero values in the results.
func Map[In, Out any](ctx context.Context, pool *Pool, name string, items []In) ([]Out, error) {
	raw := make([][]byte, len(items))
	for i, item := range items {
		data, err := encode(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		raw[i] = data
	}
	results, failed := pool.Map(ctx, name, raw)
	if task := (*TaskError)(nil); failed != nil && !errors.As(failed, &task) {
		return nil, failed
	}
	out := make([]Out, len(results))
	for i, data := range results {
		if data == nil {
			continue
		}
		var err error
		if out[i], err = decode[Out](data); err != nil {
			return nil, fmt.Errorf("result %d: %w", i, err)
		}
	}
	return out, failed
}

// Apply is Pool.Apply for a function registered with RegisterFunc.
func Apply[In, Out any](ctx context.Context, pool *Pool, name string, in In) (out Out, err error) {
	data, err := encode(in)
	if err != nil {
		return out, err
	}
	result, err := pool.Apply(ctx, name, data)
	if err != nil {
		return out, err
	}
	return decode[Out](result)
}

// PutValue is Queue.Put for a Go value.
func PutValue[T any](ctx context.Context, q *Queue, value T) error {
	data, err := encode(value)
	if err != nil {
		return err
	}
	return q.Put(ctx, data)
}

// GetValue is Queue.Get for a Go value.
func GetValue[T any](ctx context.Context, q *Queue) (value T, err error) {
	data, err := q.Get(ctx)
	if err != nil {
		return value, err
	}
	return decode[T](data)
}

func encode[T any](value T) ([]byte, error) {
	switch v := any(value).(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(&value); err != nil {
		return nil, fmt.Errorf("%T does not travel: %w", value, err)
	}
	return buf.Bytes(), nil
}

// decode copies what it keeps: the bytes may be shared memory.
func decode[T any](data []byte) (value T, err error) {
	switch v := any(&value).(type) {
	case *[]byte:
		*v = bytes.Clone(data)
		return value, nil
	case *string:
		*v = string(data)
		return value, nil
	}
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&value); err != nil {
		return value, fmt.Errorf("no %T in %d bytes: %w", value, len(data), err)
	}
	return value, nil
}
