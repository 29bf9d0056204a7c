/* Makes the Nth operation on octavo's own files fail, and counts what is written to them.
 *
 * Preloaded into one process (FAULT_PID). Operations that change what is below FAULT_HOME are
 * numbered from 1: open for writing or making, write, ftruncate, fsync, rename, unlink, mkdir.
 * Number FAULT_AT fails with FAULT_ERRNO; with FAULT_ON=1 all that come after it do as well. A
 * write that fails for want of space has taken half of its bytes, as a full disk does, and what
 * makes room is always possible.
 * What fails is appended to FAULT_TOLD, one line each: its name, and its path. When the process
 * ends a last line says how many operations there were, and the bytes written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int inited, active, told = -1, on, err;
static long at, count, bytes;
static char home[4096];
static size_t home_len;

static void init(void) {
    if (inited) return;
    inited = 1;
    const char *pid = getenv("FAULT_PID"), *h = getenv("FAULT_HOME");
    if (!pid || !h || atol(pid) != (long)getpid()) return;
    snprintf(home, sizeof home, "%s", h);
    home_len = strlen(home);
    at = atol(getenv("FAULT_AT"));
    err = atoi(getenv("FAULT_ERRNO"));
    on = atoi(getenv("FAULT_ON"));
    told = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_TOLD"),
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    active = 1;
}

static int is_ours(const char *path) {
    return !strncmp(path, home, home_len) && (path[home_len] == '/' || !path[home_len]);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4095);
    if (n <= 0) return 0;
    path[n] = 0;
    return is_ours(path);
}

/* Whether this operation is to fail. Forked children are not the process. */
static int fails(const char *what, const char *path) {
    if (getpid() != atol(getenv("FAULT_PID") ? getenv("FAULT_PID") : "0")) return 0;
    if (err == ENOSPC && (!strcmp(what, "ftruncate") || !strcmp(what, "unlink"))) return 0;
    count++;
    if (!at || !(count == at || (on && count > at))) return 0;
    dprintf(told, "%s %s\n", what, path);
    return 1;
}

static int path_fails(const char *what, int dir, const char *path) {
    char full[4096];
    init();
    if (!active || !path) return 0;
    if (path[0] != '/') {
        if (dir == AT_FDCWD || !path_of(dir, full)) return 0;
        size_t n = strlen(full);
        snprintf(full + n, sizeof full - n, "/%s", path);
        path = full;
    }
    return is_ours(path) && fails(what, path);
}

static int fd_fails(const char *what, int fd) {
    char path[4096];
    init();
    return active && path_of(fd, path) && fails(what, path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL do { errno = err; return -1; } while (0)

static ssize_t counted(int fd, ssize_t n) {
    char path[4096];
    if (active && n > 0 && path_of(fd, path)) bytes += n;
    return n;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (fd_fails("write", fd)) {
        if (err == ENOSPC && size > 1) {
            static int halved;
            if (halved ^= 1) return counted(fd, real(fd, data, size / 2));
        }
        FAIL;
    }
    return counted(fd, real(fd, data, size));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) {
    REAL(pwrite64);
    if (fd_fails("pwrite", fd)) FAIL;
    return counted(fd, real(fd, data, size, where));
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t where) {
    return pwrite64(fd, data, size, where);
}
int fsync(int fd) { REAL(fsync); if (fd_fails("fsync", fd)) FAIL; return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); if (fd_fails("fdatasync", fd)) FAIL; return real(fd); }
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    if (fd_fails("ftruncate", fd)) FAIL;
    return real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int rename(const char *a, const char *b) {
    REAL(rename);
    if (path_fails("rename", AT_FDCWD, b)) FAIL;
    return real(a, b);
}
int renameat(int da, const char *a, int db, const char *b) {
    REAL(renameat);
    if (path_fails("rename", db, b)) FAIL;
    return real(da, a, db, b);
}
int unlink(const char *p) { REAL(unlink); if (path_fails("unlink", AT_FDCWD, p)) FAIL; return real(p); }
int unlinkat(int d, const char *p, int f) {
    REAL(unlinkat);
    if (path_fails("unlink", d, p)) FAIL;
    return real(d, p, f);
}
int mkdir(const char *p, mode_t m) { REAL(mkdir); if (path_fails("mkdir", AT_FDCWD, p)) FAIL; return real(p, m); }
int mkdirat(int d, const char *p, mode_t m) {
    REAL(mkdirat);
    if (path_fails("mkdir", d, p)) FAIL;
    return real(d, p, m);
}

static int opens(int dir, const char *path, int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && path_fails("open", dir, path);
}
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list v; va_start(v, flags); mode = va_arg(v, mode_t); va_end(v); }
int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE(flags);
    if (opens(AT_FDCWD, path, flags)) FAIL;
    return real(path, flags, mode);
}
int open(const char *path, int flags, ...) { MODE(flags); return open64(path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) {
    REAL(openat64);
    MODE(flags);
    if (opens(dir, path, flags)) FAIL;
    return real(dir, path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) { MODE(flags); return openat64(dir, path, flags, mode); }

__attribute__((destructor)) static void end(void) {
    static int done;
    init();
    if (done++) return;
    if (active && getpid() == atol(getenv("FAULT_PID"))) dprintf(told, "total %ld %ld\n", count, bytes);
}

void _exit(int status) { end(); syscall(SYS_exit_group, status); __builtin_unreachable(); }
