/* The objects of libmp that have an owner, each as a few functions: for what is measured of all of them. */
#ifndef BENCH_OBJECTS_H
#define BENCH_OBJECTS_H

#include "bench.h"

enum { PAIRS = 16 };

static mp_lock *locks[PAIRS];
static mp_rlock *rlocks[PAIRS];
static mp_condition *conditions[PAIRS];
static mp_value *values[PAIRS];
static mp_array *arrays[PAIRS];

static void make_lock(int i) { ok(mp_lock_new(&locks[i]), "lock"); }
static mp_status take_lock(int i) { return mp_lock_acquire(locks[i], LONGEST); }
static mp_status give_lock(int i) { return mp_lock_release(locks[i]); }

static void make_rlock(int i) { ok(mp_rlock_new(&rlocks[i]), "rlock"); }
static mp_status take_rlock(int i) { return mp_rlock_acquire(rlocks[i], LONGEST); }
static mp_status give_rlock(int i) { return mp_rlock_release(rlocks[i]); }

static void make_condition(int i) { ok(mp_condition_new(NULL, &conditions[i]), "condition"); }
static mp_status take_condition(int i) { return mp_condition_acquire(conditions[i], LONGEST); }
static mp_status give_condition(int i) { return mp_condition_release(conditions[i]); }

static void make_value(int i) { ok(mp_value_new(sizeof(int64_t), NULL, MP_LOCK_RECURSIVE, &values[i]), "value"); }
static mp_status take_value(int i) { return mp_value_acquire(values[i], LONGEST); }
static mp_status give_value(int i) { return mp_value_release(values[i]); }

static void make_array(int i) { ok(mp_array_new(sizeof(int64_t), 100, NULL, MP_LOCK_PLAIN, &arrays[i]), "array"); }
static mp_status take_array(int i) { return mp_array_acquire(arrays[i], LONGEST); }
static mp_status give_array(int i) { return mp_array_release(arrays[i]); }

static const struct object {
    const char *name;
    void (*make)(int);
    mp_status (*take)(int);
    mp_status (*give)(int);
} objects[] = {
    {"lock", make_lock, take_lock, give_lock},
    {"rlock", make_rlock, take_rlock, give_rlock},
    {"condition", make_condition, take_condition, give_condition},
    {"value", make_value, take_value, give_value},
    {"array", make_array, take_array, give_array},
};
enum { OBJECTS = sizeof objects / sizeof *objects };

#endif
