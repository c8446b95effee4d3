// Preloaded into a process, does to its calls on files what a bad disk does. The file $DISK_FAULTS
// says what, and is read again when it has been replaced. A line of it:
//   CALL PATH ACTION VALUE SKIP TIMES
// CALL is open, read, write, sync, allocate, rename, remove or mkdir; PATH a part of the file's
// path, with $ its end. ACTION is
//   delay (of VALUE milliseconds), fail (with the errno VALUE), pace (VALUE bytes a second, all
//   threads together) or full (ENOSPC for what would reach beyond the offset VALUE).
// It passes over SKIP calls and then holds for TIMES of them; 0: for all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { kMostRules = 32, kNanoseconds = 1000000000 };

struct Rule {
  char call[16], path[256], action[16];
  long value, skip, times;
  long seen;          // calls that fitted
  long long free_at;  // pace: when the disk has done what was asked of it, in nanoseconds
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct Rule rules[kMostRules];
static int count;
static struct stat read_last;

static long long Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * kNanoseconds + now.tv_nsec;
}

static void SleepUntil(long long nanoseconds) {
  const struct timespec until = {nanoseconds / kNanoseconds, nanoseconds % kNanoseconds};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

static void ReadRules(void) {
  const char* name = getenv("DISK_FAULTS");
  struct stat about;
  if (name == NULL || stat(name, &about) != 0 || about.st_ino == read_last.st_ino) return;
  read_last = about;
  count = 0;
  const int file = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
  char text[8192];
  const long size = file < 0 ? 0 : syscall(SYS_read, file, text, sizeof(text) - 1);
  if (file >= 0) close(file);
  text[size < 0 ? 0 : size] = '\0';
  char* rest = text;
  for (char* line; count < kMostRules && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
    struct Rule* rule = &rules[count];
    memset(rule, 0, sizeof(*rule));
    count += sscanf(line, "%15s %255s %15s %ld %ld %ld", rule->call, rule->path, rule->action,
                    &rule->value, &rule->skip, &rule->times) == 6;
  }
}

static int FitsPath(const char* pattern, const char* path) {
  const size_t size = strlen(pattern), length = strlen(path);
  if (pattern[size - 1] != '$') return strstr(path, pattern) != NULL;
  return length >= size - 1 && strncmp(path + length - (size - 1), pattern, size - 1) == 0;
}

// What a call that ends at `end` and moves `bytes` has to suffer: returns an errno or 0 and the
// time to wait for.
static int Judge(const char* call, const char* path, long bytes, long end, long long* until) {
  int error = 0;
  for (int i = 0; i < count; ++i) {
    struct Rule* rule = &rules[i];
    if (strcmp(rule->call, call) != 0 || !FitsPath(rule->path, path)) continue;
    if (strcmp(rule->action, "full") == 0 && end <= rule->value) continue;
    const long passed = rule->seen++ - rule->skip;
    if (passed < 0 || (rule->times > 0 && passed >= rule->times)) continue;
    const long long now = Now();
    if (strcmp(rule->action, "delay") == 0) *until = now + rule->value * 1000000LL;
    if (strcmp(rule->action, "fail") == 0) error = (int)rule->value;
    if (strcmp(rule->action, "full") == 0) error = ENOSPC;
    if (strcmp(rule->action, "pace") == 0) {
      if (rule->free_at < now) rule->free_at = now;
      rule->free_at += (long long)bytes * kNanoseconds / rule->value;
      *until = rule->free_at;
    }
  }
  return error;
}

// True, with errno, when the call fails.
static int FailsAt(const char* call, const char* path, long bytes, long end) {
  long long until = 0;
  pthread_mutex_lock(&lock);
  ReadRules();
  const int error = Judge(call, path, bytes, end, &until);
  pthread_mutex_unlock(&lock);
  if (until > 0) SleepUntil(until);
  if (error != 0) errno = error;
  return error != 0;
}

static int Fails(const char* call, int file, long bytes, long end) {
  const int before = errno;
  char link[32], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  errno = before;
  if (length < 1 || path[0] != '/') return 0;  // a socket or a pipe
  path[length] = '\0';
  return FailsAt(call, path, bytes, end);
}

static int Open(int folder, const char* path, int flags, mode_t mode) {
  return FailsAt("open", path, 0, 0) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

static mode_t ModeOf(int flags, va_list more) {
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(NAME, PARAMETERS, FOLDER)       \
  EXPORT int NAME PARAMETERS {               \
    va_list more;                            \
    va_start(more, flags);                   \
    const mode_t mode = ModeOf(flags, more); \
    va_end(more);                            \
    return Open(FOLDER, path, flags, mode);  \
  }
OPEN(open, (const char* path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char* path, int flags, ...), AT_FDCWD)
OPEN(openat, (int folder, const char* path, int flags, ...), folder)
OPEN(openat64, (int folder, const char* path, int flags, ...), folder)

EXPORT ssize_t read(int file, void* to, size_t size) {
  return Fails("read", file, (long)size, 0) ? -1 : syscall(SYS_read, file, to, size);
}
EXPORT ssize_t pread64(int file, void* to, size_t size, off64_t at) {
  return Fails("read", file, (long)size, 0) ? -1 : syscall(SYS_pread64, file, to, size, at);
}
EXPORT ssize_t pread(int file, void* to, size_t size, off_t at) {
  return pread64(file, to, size, at);
}

EXPORT ssize_t write(int file, const void* from, size_t size) {
  const long end = lseek(file, 0, SEEK_CUR) + (long)size;
  return Fails("write", file, (long)size, end) ? -1 : syscall(SYS_write, file, from, size);
}
EXPORT ssize_t pwrite64(int file, const void* from, size_t size, off64_t at) {
  return Fails("write", file, (long)size, at + (long)size)
             ? -1
             : syscall(SYS_pwrite64, file, from, size, at);
}
EXPORT ssize_t pwrite(int file, const void* from, size_t size, off_t at) {
  return pwrite64(file, from, size, at);
}

EXPORT int fsync(int file) {
  return Fails("sync", file, 0, 0) ? -1 : (int)syscall(SYS_fsync, file);
}
EXPORT int fdatasync(int file) {
  return Fails("sync", file, 0, 0) ? -1 : (int)syscall(SYS_fdatasync, file);
}

EXPORT int fallocate64(int file, int mode, off64_t at, off64_t size) {
  return Fails("allocate", file, 0, at + size) ? -1
                                               : (int)syscall(SYS_fallocate, file, mode, at, size);
}
EXPORT int fallocate(int file, int mode, off_t at, off_t size) {
  return fallocate64(file, mode, at, size);
}
EXPORT int posix_fallocate64(int file, off64_t at, off64_t size) {
  const int before = errno;
  const int error = fallocate64(file, 0, at, size) == 0 ? 0 : errno;
  errno = before;
  return error;
}
EXPORT int posix_fallocate(int file, off_t at, off_t size) {
  return posix_fallocate64(file, at, size);
}

EXPORT int rename(const char* from, const char* to) {
  return FailsAt("rename", from, 0, 0) ? -1
                                       : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}
EXPORT int unlink(const char* path) {
  return FailsAt("remove", path, 0, 0) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
EXPORT int mkdir(const char* path, mode_t mode) {
  return FailsAt("mkdir", path, 0, 0) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
