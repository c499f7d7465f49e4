/* One output of the command: passed on through a pipe or socket like the agent's own, or followed in the agent's file.
 *
 * Like for like. Where the agent gave a pipe, the command gets a pipe; where a socket, a socket (some programs open
 * /dev/stderr, which a socket refuses); a regular file stays the command's own, and we read along behind it, so that
 * offset, appending and truncation are what they were. A terminal and /dev/null are left alone.
 */
#include "tapes-sh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int move_up(int fd) {
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    if (up < 0) up = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    close(fd);
    return up;
}

static void close_between(unsigned first, unsigned last) {
    if (first > last) return;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, 0) == 0) return;
#endif
    long most = sysconf(_SC_OPEN_MAX);
    if (most < 0 || most > 65536) most = 65536;
    for (unsigned fd = first; fd <= last && fd < (unsigned)most; fd++) close((int)fd);
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* We must hold nothing open that the command closes: the agent may wait for just that. */
void keep_only(const int *fds, int count) {
    int sorted[16];
    unsigned from = 0;
    memcpy(sorted, fds, sizeof(int) * (size_t)count);
    qsort(sorted, (size_t)count, sizeof(int), by_number);
    for (int i = 0; i < count; i++) {
        if (sorted[i] < 0) continue;
        if (sorted[i] > (int)from) close_between(from, (unsigned)sorted[i] - 1);
        from = (unsigned)sorted[i] + 1;
    }
    close_between(from, ~0u);
}

static int pass_through(struct stream *s, int fd, int is_socket) {
    int ends[2];
    if ((is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) < 0) return -1;
    s->in = move_up(ends[0]);
    s->to_command = move_up(ends[1]);
    s->out = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    if (s->out < 0) s->out = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (s->in < 0 || s->to_command < 0 || s->out < 0) return -1;
    fcntl(s->in, F_SETFL, O_NONBLOCK | (is_socket ? O_RDWR : O_RDONLY));
    /* One way, as far as the command can tell: what it reads from there is nothing. */
    s->is_socket = is_socket;
    s->kind = PASSED;
    return 0;
}

static int is_file(const char *pid, int fd, dev_t device, ino_t inode) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%.20s/fd/%d", pid, fd);
    return stat(path, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void follow(struct stream *s, int fd, int flags, const struct stat *st) {
#ifdef __linux__
    char parent[16];
    snprintf(parent, sizeof parent, "%d", getppid());
    /* The agent's own output, which it passed on without reading it: others write there too. */
    if (is_file(parent, 1, st->st_dev, st->st_ino) || is_file(parent, 2, st->st_dev, st->st_ino)) return;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0 || (s->in = move_up(file)) < 0) return; /* not ours to read: then its output is not reported */
    off_t at = flags & O_APPEND ? st->st_size : lseek(fd, 0, SEEK_CUR);
    s->position = at < 0 ? st->st_size : at;
    s->device = st->st_dev;
    s->inode = st->st_ino;
    s->kind = FOLLOWED;
#else
    (void)s, (void)fd, (void)flags, (void)st;
#endif
}

static int stream_prepare(struct stream *s, int fd, const struct stat *st) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return 0;
    if (S_ISFIFO(st->st_mode)) return pass_through(s, fd, 0);
    if (S_ISSOCK(st->st_mode)) {
        int type = 0;
        socklen_t length = sizeof type;
        /* Datagrams would lose their borders. */
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM) return 0;
        return pass_through(s, fd, 1);
    }
    if (S_ISREG(st->st_mode)) follow(s, fd, flags, st);
    return 0;
}

int streams_prepare(struct stream s[2]) {
    struct stat st[2];
    int there[2];
    for (int i = 0; i < 2; i++) {
        s[i].kind = NOTHING;
        s[i].tag = i ? 'e' : 'o';
        s[i].in = s[i].out = s[i].to_command = -1;
        there[i] = fstat(i + 1, &st[i]) == 0;
    }
    int same = there[0] && there[1] && st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
    if (there[0] && stream_prepare(&s[0], 1, &st[0]) < 0) return -1;
    if (same && s[0].kind != NOTHING) s[0].tag = 'm';
    else if (there[1] && stream_prepare(&s[1], 2, &st[1]) < 0) return -1;
    return 0;
}

void stream_close(struct stream *s) {
    if (s->in >= 0) close(s->in);
    if (s->out >= 0) close(s->out);
    s->in = s->out = -1;
    s->held = s->owed = 0;
    s->kind = NOTHING;
}

/* As much as goes without waiting. Whether the agent's end blocks is the agent's affair, so we may not change it. */
static ssize_t give(const struct stream *s, const unsigned char *data, size_t length) {
    static int no_nowait;
    ssize_t n;
    if (s->is_socket) {
        n = send(s->out, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS)) return n; /* sandboxes forbid send */
    }
#if defined(__linux__) && defined(RWF_NOWAIT)
    if (!s->is_socket && !no_nowait) {
        struct iovec part = {(void *)data, length};
        n = pwritev2(s->out, &part, 1, -1, RWF_NOWAIT);
        if (n >= 0 || errno == EAGAIN || errno == EPIPE || errno == EINTR) return n;
        no_nowait = 1;
    }
#else
    (void)no_nowait;
#endif
    /* A pipe that can be written to has room for a page. */
    struct pollfd ready = {s->out, POLLOUT, 0};
    if (poll(&ready, 1, 0) < 1 || !(ready.revents & (POLLOUT | POLLERR | POLLHUP))) {
        errno = EAGAIN;
        return -1;
    }
    return write(s->out, data, length < FRAME ? length : FRAME);
}

static int hand_over(struct stream *s) {
    ssize_t n = give(s, s->buffer + s->at, s->held);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        stream_close(s); /* the agent has hung up: the command's next write tells it so */
        return 1;
    }
    s->at += (size_t)n;
    s->held -= (size_t)n;
    s->owed -= (size_t)n < s->owed ? (size_t)n : s->owed;
    return n > 0;
}

int stream_pass(struct stream *s, struct report *report) {
    if (s->kind != PASSED) return 0;
    if (s->held) return hand_over(s);
    ssize_t n = read(s->in, s->buffer, sizeof s->buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) {
        stream_close(s);
        return 1;
    }
    char tag = s->tag;
    s->at = 0;
    s->held = (size_t)n;
    hand_over(s);
    if (report) report_output(report, tag, s->buffer, (size_t)n);
    return 1;
}

void stream_follow(struct stream *s, struct report *report) {
    struct stat st;
    if (s->kind != FOLLOWED || fstat(s->in, &st) < 0) return;
    if (st.st_size < s->position) s->position = 0; /* cut off: what the agent will find begins anew */
    while (s->position < st.st_size) {
        if (report_room(report) < sizeof s->buffer + FRAME) {
            /* A hole of a terabyte is as good as any other output that we can not keep up with. */
            report->dropped += (uint64_t)(st.st_size - s->position);
            s->position = st.st_size;
            return;
        }
        ssize_t n = pread(s->in, s->buffer, sizeof s->buffer, s->position);
        if (n <= 0) return;
        report_output(report, s->tag, s->buffer, (size_t)n);
        report_flush(report);
        s->position += n;
    }
}

void stream_count_owed(struct stream *s) {
    int waiting = 0;
    if (s->kind != PASSED) return;
    if (ioctl(s->in, FIONREAD, &waiting) < 0) waiting = 0;
    s->owed = s->held + (size_t)waiting;
}

/* Does a process that came after the command write to its file? Looked for in numbers 1 and 2 of younger processes:
 * the agent's own hold on the file has another. */
int stream_is_held(const struct stream *s, pid_t younger_than) {
    if (s->kind != FOLLOWED) return s->kind == PASSED;
    int last = 0, held = 0;
    FILE *load = fopen("/proc/loadavg", "re");
    if (load) {
        if (fscanf(load, "%*s %*s %*s %*s %d", &last) != 1) last = 0;
        fclose(load);
    }
    if (last < younger_than) younger_than = 0; /* numbers began anew, or are told of another namespace */
    DIR *proc = opendir("/proc");
    if (!proc) return 0;
    for (struct dirent *entry; !held && (entry = readdir(proc));) {
        int pid = atoi(entry->d_name);
        if (pid > younger_than && pid != getpid()) {
            held = is_file(entry->d_name, 1, s->device, s->inode) || is_file(entry->d_name, 2, s->device, s->inode);
        }
    }
    closedir(proc);
    return held;
}
