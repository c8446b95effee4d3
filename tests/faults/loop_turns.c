// Preloaded into a server, measures the turns of its loop: from when the thread "dispatcher" comes
// back from a wait until it waits again, less what it only stood in the run queue (schedstat).
// Counts them in the file $LOOP_TURNS, which loop_turns.py reads.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { kNanoseconds = 1000000000, kFiveMilliseconds = 5000000, kFiftyMilliseconds = 50000000 };

struct Turns {
  atomic_uint_least64_t count, beyond_5_ms, beyond_50_ms, longest_ns, in_run_queue_ns;
};

static struct Turns* turns;
static _Thread_local int looked, schedstat = -1;  // a file where this thread is the loop's
static _Thread_local int64_t woke_ns, waited_ns;

static int64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * kNanoseconds + now.tv_nsec;
}

// How long this thread was ready to run and did not.
static int64_t Waited(void) {
  char text[64] = "";
  long long ran = 0, waited = 0;
  if (pread(schedstat, text, sizeof(text) - 1, 0) > 0) sscanf(text, "%lld %lld", &ran, &waited);
  return waited;
}

static void Look(void) {
  char name[16] = "", path[64];
  pthread_getname_np(pthread_self(), name, sizeof(name));
  const char* counts = getenv("LOOP_TURNS");
  looked = 1;
  if (strcmp(name, "dispatcher") != 0 || counts == NULL) return;
  const int file = open(counts, O_RDWR | O_CLOEXEC);
  turns = mmap(NULL, sizeof(struct Turns), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (turns == MAP_FAILED) abort();
  snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", gettid());
  schedstat = open(path, O_RDONLY | O_CLOEXEC);
}

static void EndTurn(void) {
  if (!looked) Look();
  if (schedstat < 0 || woke_ns == 0) return;
  const int64_t waited = Waited() - waited_ns, took = Now() - woke_ns - waited;
  atomic_fetch_add(&turns->count, 1);
  atomic_fetch_add(&turns->in_run_queue_ns, waited);
  if (took > kFiveMilliseconds) atomic_fetch_add(&turns->beyond_5_ms, 1);
  if (took > kFiftyMilliseconds) atomic_fetch_add(&turns->beyond_50_ms, 1);
  if (took > (int64_t)atomic_load(&turns->longest_ns)) atomic_store(&turns->longest_ns, took);
}

static void BeginTurn(void) {
  if (schedstat < 0) return;
  waited_ns = Waited();
  woke_ns = Now();
}

EXPORT int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const struct timespec* until) {
  static int (*real)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*);
  if (real == NULL) real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
  EndTurn();
  const int result = real(condition, mutex, clock, until);
  BeginTurn();
  return result;
}
