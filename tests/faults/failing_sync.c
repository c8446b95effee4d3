// Preloaded into a process, fails one sync to disk: the one whose number is $FAILING_SYNC, counted from 1. Writes the path
// of its file into $FAILING_SYNC_MARK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long syncs;

static int Fails(void) {
  const char* number = getenv("FAILING_SYNC");
  return number != NULL && atomic_fetch_add(&syncs, 1) + 1 == atol(number);
}

static int Sync(const char* name, int file) {
  if (Fails()) {
    char link[32], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof(path));
    const int mark = open(getenv("FAILING_SYNC_MARK"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (length < 0 || mark < 0 || write(mark, path, length) < 0) abort();
    close(mark);
    errno = EIO;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return Sync("fsync", file); }
int fdatasync(int file) { return Sync("fdatasync", file); }
