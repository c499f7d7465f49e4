/* The deep witness (--deep): every attempt below the command to start a program, by seccomp user notification.
 *
 * It needs no root, can not be shed by what it watches, and forbids new privileges: sudo will not work. Each attempt
 * waits until somebody has looked at it and let it go on, so somebody must: the waiter while it lives (as an ancestor
 * it may read the memory of what it watches), then the pump, which stays until no process is left under the filter.
 * Where another filter has a listener already, or none may be set, the command runs without.
 */
#include "tapes-sh.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifdef __x86_64__
#define OURS AUDIT_ARCH_X86_64
#else
#define OURS AUDIT_ARCH_AARCH64
#endif
#define MOST_WORDS 1024
#define MOST_BYTES 65536

int deep_install(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_execve, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_execveat, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static size_t read_at(int memory, uint64_t at, void *into, size_t length) {
    ssize_t n = pread(memory, into, length, (off_t)at);
    return n < 0 ? 0 : (size_t)n;
}

/* A string may end at the last byte of a page, with nothing behind it. */
static size_t read_text(int memory, uint64_t at, char *into, size_t room) {
    size_t length = 0;
    while (length < room) {
        size_t part = 4096 - (size_t)((at + length) & 4095);
        size_t n = read_at(memory, at + length, into + length, part < room - length ? part : room - length);
        size_t text = strnlen(into + length, n);
        length += text;
        if (text < n || n == 0) break;
    }
    return length;
}

static void add_words(struct fields *f, int memory, uint64_t path, uint64_t argv) {
    static char text[MOST_BYTES];
    size_t left = sizeof text;
    uint64_t at = 0;
    int words = 0;
    for (; words < MOST_WORDS && left; words++, argv += 8) {
        if (read_at(memory, argv, &at, 8) != 8 || !at) break;
        size_t n = read_text(memory, at, text, left);
        field(f, 1, text, n);
        left -= n;
    }
    if (!words) field(f, 1, text, read_text(memory, path, text, sizeof text));
}

static void add_place(struct fields *f, pid_t pid) {
    char path[4096], link[40];
    unsigned char ids[24];
    int ppid = 0, pgid = 0;
    snprintf(link, sizeof link, "/proc/%d/cwd", pid);
    ssize_t n = readlink(link, path, sizeof path);
    if (n > 0) field(f, 2, path, (size_t)n);
    snprintf(link, sizeof link, "/proc/%d/stat", pid);
    FILE *file = fopen(link, "re");
    size_t read = file ? fread(path, 1, sizeof path - 1, file) : 0;
    if (file) fclose(file);
    path[read] = 0;
    char *mark = strrchr(path, ')');
    if (mark && sscanf(mark + 1, " %*c %d %d", &ppid, &pgid) != 2) ppid = pgid = 0;
    put64(ids, (uint64_t)pid);
    put64(ids + 8, (uint64_t)ppid);
    put64(ids + 16, (uint64_t)pgid);
    field(f, 4, ids, sizeof ids);
}

void deep_serve(int listener, struct report *r) {
    struct seccomp_notif asked;
    struct seccomp_notif_resp answer = {0};
    memset(&asked, 0, sizeof asked);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) return;
    struct fields f = {0};
    char path[40];
    int at = asked.data.nr == __NR_execveat;
    snprintf(path, sizeof path, "/proc/%d/mem", asked.pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory >= 0) {
        add_words(&f, memory, asked.data.args[at], asked.data.args[at + 1]);
        close(memory);
    }
    add_place(&f, (pid_t)asked.pid);
    uint64_t id = asked.id;
    /* If the asker died meanwhile, what we read may have been another's. */
    int is_valid = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
    answer.id = asked.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    if (is_valid) fields_done(r, 'X', &f);
    else free(f.data);
    report_flush(r);
}
#else
int deep_install(void) { return -1; }
void deep_serve(int listener, struct report *r) { (void)listener, (void)r; }
#endif

/* `listener` -1 is sent as well: somebody waits for it. */
void deep_send(int line, int listener) {
    char byte = 'l';
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (listener >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &listener, sizeof(int));
    }
    sendmsg(line, &message, 0);
}

int deep_receive(int line) {
    char byte;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    int listener = -1;
    if (recvmsg(line, &message, 0) < 1) return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&listener, CMSG_DATA(head), sizeof(int));
    return listener < 0 ? -1 : move_up(listener);
}
