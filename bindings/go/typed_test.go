package mp_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"libmp.dev/mp"
)

type order struct {
	Item     string
	Quantity int
}

type invoice struct {
	Lines map[string]float64
	Total float64
}

var errNothing = errors.New("nothing ordered")

var bill = mp.RegisterFunc("bill", func(o order) (*invoice, error) {
	if o.Quantity == 0 {
		return nil, errNothing
	}
	total := 1.5 * float64(o.Quantity)
	return &invoice{map[string]float64{o.Item: total}, total}, nil
})

var reverse = mp.RegisterFunc("reverse", func(s string) (string, error) {
	out := []rune(s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out), nil
})

var _ = mp.RegisterFunc("square", func(n int) (int64, error) { return int64(n) * int64(n), nil })

func TestTyped(t *testing.T) {
	ctx := watchdog(t)
	pool := newPool(t, mp.PoolOptions{})
	squares := must[[]int64](t)(mp.Map[int, int64](ctx, pool, "square", []int{0, -3, 1 << 20}))
	if fmt.Sprint(squares) != "[0 9 1099511627776]" {
		t.Fatal(squares)
	}
	if s := must[string](t)(reverse.Apply(ctx, pool, "añb")); s != "bña" {
		t.Fatal(s)
	}
	in := must[*invoice](t)(bill.Apply(ctx, pool, order{"tea", 2}))
	if in.Total != 3 || !maps.Equal(in.Lines, map[string]float64{"tea": 3}) {
		t.Fatalf("%+v", in)
	}
	all, err := bill.Map(ctx, pool, []order{{"a", 1}, {"b", 0}, {"c", 3}})
	task := failure(t, err)
	if task.Index != 1 || !strings.Contains(task.Text, errNothing.Error()) {
		t.Fatalf("%+v", task)
	}
	if all[0].Total != 1.5 || all[1] != nil || all[2].Total != 4.5 {
		t.Fatalf("%+v", all)
	}
	// A value that the function can't be called with.
	_, err = mp.Apply[string, string](ctx, pool, "square", "not a number")
	want(t, err, mp.ErrTaskFailed)
	if _, err := mp.Map[func(), int](ctx, pool, "square", []func(){nil}); err == nil {
		t.Fatal("a function travelled")
	}
}

func TestRegister(t *testing.T) {
	for name, f := range map[string]func(){
		"taken": func() { mp.Register("square", func(*mp.Call) error { return nil }) },
		"empty": func() { mp.Register("", func(*mp.Call) error { return nil }) },
		"nil":   func() { mp.Register("nil", nil) },
		"late":  func() { mp.Register("late", func(*mp.Call) error { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("did not panic")
				}
			}()
			f()
		})
	}
}
