// Preloaded into a process, fails one sync to disk: the $FAILING_SYNC-th, counted from 1, of a file whose path contains
// $FAILING_SYNC_OF. Writes the path into $FAILING_SYNC_MARK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long syncs;

static int Fails(int file) {
  const char* number = getenv("FAILING_SYNC");
  char link[32], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  if (number == NULL || length < 0) return 0;
  path[length] = '\0';
  if (strstr(path, getenv("FAILING_SYNC_OF")) == NULL) return 0;
  if (atomic_fetch_add(&syncs, 1) + 1 != atol(number)) return 0;
  const int mark = open(getenv("FAILING_SYNC_MARK"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (mark < 0 || write(mark, path, length) < 0) abort();
  close(mark);
  return 1;
}

static int Sync(const char* name, int file) {
  if (Fails(file)) {
    errno = EIO;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return Sync("fsync", file); }
int fdatasync(int file) { return Sync("fdatasync", file); }
