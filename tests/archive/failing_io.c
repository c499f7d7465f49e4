/* Makes writes, syncs and truncates of one file fail, for tests/archive/test_failing_io.py.
 *
 *     cc -shared -fPIC -O1 -o failing_io.so failing_io.c -ldl;  LD_PRELOAD=./failing_io.so python …
 *
 * Nothing fails until arm() is called (through ctypes, in the process that is to suffer). Only calls on files whose path
 * ends with the given name count. The at-th of them (from 1) fails, and the `times` - 1 after it:
 *   refuse  nothing is done            half  a write does its first half, a truncate or sync all of it
 *   after   all is done, and reported as failed           short  a write does half and says so: no error at all
 *   stuck   the first is done and reported as failed, the others are refused: LMDB can not take back what it wrote
 * On macOS nothing of this works: there LD_PRELOAD is another thing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { REFUSE, HALF, AFTER, SHORT, STUCK };

static struct { int at, times, error; enum how how; char suffix[256]; } plan;
static int counted;

void arm(const char *suffix, int at, int times, int error, int how)
{
    strncpy(plan.suffix, suffix, sizeof plan.suffix - 1);
    plan.at = at, plan.times = times, plan.error = error, plan.how = how;
    counted = 0;
}

int seen(void) { return counted; }

static int concerned(int fd)
{
    char link[64], path[PATH_MAX];
    if (!plan.suffix[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    size_t m = strlen(plan.suffix);
    if (n < (ssize_t)m || memcmp(path + n - m, plan.suffix, m)) return 0;
    ++counted;
    return plan.at && counted >= plan.at && counted < plan.at + plan.times;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* `real` writes what is asked; half and short write the first half of the bytes. */
#define FAIL(all, half) \
    switch (plan.how) { \
    case REFUSE: break; \
    case HALF: (void)!(half); break; \
    case AFTER: (void)!(all); break; \
    case SHORT: return half; \
    case STUCK: if (counted == plan.at) (void)!(all); break; \
    } \
    errno = plan.error; \
    return -1

static struct iovec *halved(const struct iovec *all, int n, struct iovec *out)
{
    for (int i = 0; i < n; i++) out[i] = all[i];
    if (n == 1) out[0].iov_len /= 2;
    return out;
}

ssize_t write(int fd, const void *b, size_t n)
{ REAL(write); if (!concerned(fd)) return real(fd, b, n); FAIL(real(fd, b, n), real(fd, b, n / 2)); }

ssize_t pwrite(int fd, const void *b, size_t n, off_t o)
{ REAL(pwrite); if (!concerned(fd)) return real(fd, b, n, o); FAIL(real(fd, b, n, o), real(fd, b, n / 2, o)); }

ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o)
{ REAL(pwrite64); if (!concerned(fd)) return real(fd, b, n, o); FAIL(real(fd, b, n, o), real(fd, b, n / 2, o)); }

ssize_t writev(int fd, const struct iovec *v, int n)
{
    REAL(writev);
    struct iovec h[IOV_MAX];
    if (!concerned(fd)) return real(fd, v, n);
    FAIL(real(fd, v, n), real(fd, halved(v, n, h), n > 1 ? n / 2 : 1));
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o)
{
    REAL(pwritev);
    struct iovec h[IOV_MAX];
    if (!concerned(fd)) return real(fd, v, n, o);
    FAIL(real(fd, v, n, o), real(fd, halved(v, n, h), n > 1 ? n / 2 : 1, o));
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t o)
{
    REAL(pwritev64);
    struct iovec h[IOV_MAX];
    if (!concerned(fd)) return real(fd, v, n, o);
    FAIL(real(fd, v, n, o), real(fd, halved(v, n, h), n > 1 ? n / 2 : 1, o));
}

int fsync(int fd)
{ REAL(fsync); if (!concerned(fd)) return real(fd); FAIL(real(fd), real(fd)); }

int fdatasync(int fd)
{ REAL(fdatasync); if (!concerned(fd)) return real(fd); FAIL(real(fd), real(fd)); }

int ftruncate(int fd, off_t n)
{ REAL(ftruncate); if (!concerned(fd)) return real(fd, n); FAIL(real(fd, n), real(fd, n)); }

int ftruncate64(int fd, off64_t n)
{ REAL(ftruncate64); if (!concerned(fd)) return real(fd, n); FAIL(real(fd, n), real(fd, n)); }
