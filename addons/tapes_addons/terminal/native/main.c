/* tapes-sh run FIFO NONCE SCOPE OUTER UNDERSCORE EXE HOW -- ARGV...      witness ARGV, run by the file EXE ("fd:N" too)
 * tapes-sh refine FIFO NONCE COMMAND                                      our parent goes on as what its argv says now
 * tapes-sh version
 *
 * Called by the trampolines in shim/, never by people. SCOPE becomes TAPES_SCOPE, OUTER is the id of the command we
 * run in, UNDERSCORE is $_ as the shell found it. HOW holds "d" for the deep witness, "l" for a bash that has read its
 * profile already, "c" to keep the pump as a child (nobody reaps orphans here).
 */
#include "tapes-sh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#ifdef __APPLE__
#include <sys/random.h>
#endif

extern char **environ;

static sigset_t mask_before;
static int has_profile;

static int draw_id(struct report *r, char text[33]) {
    if (getentropy(r->id, sizeof r->id) < 0) return -1;
    for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", r->id[i]);
    return 0;
}

static void add_cwd(struct fields *f) {
    char path[4096];
    ssize_t n = readlink("/proc/self/cwd", path, sizeof path); /* also tells of a directory that is gone */
    if (n > 0) field(f, 2, path, (size_t)n);
    else if (getcwd(path, sizeof path)) field(f, 2, path, strlen(path));
}

static void add_ids(struct fields *f) {
    unsigned char ids[24], wall[8];
    put64(ids, (uint64_t)getpid());
    put64(ids + 8, (uint64_t)getppid());
    put64(ids + 16, (uint64_t)getpgrp());
    field(f, 4, ids, sizeof ids);
    put64(wall, wall_now());
    field(f, 5, wall, sizeof wall);
}

static void report_start(struct report *r, char **argv, const char *outer) {
    struct fields f = {0};
    unsigned char id[16], tty = isatty(1) || isatty(2);
    for (; *argv; argv++) field(&f, 1, *argv, strlen(*argv));
    add_cwd(&f);
    for (char **e = environ; *e; e++)
        if (strncmp(*e, "TAPES_", 6) != 0) field(&f, 3, *e, strlen(*e));
    add_ids(&f);
    field(&f, 6, "s", 1);
    if (strlen(outer) == 32) {
        int good = 1;
        for (int i = 0; i < 16 && good; i++) good = sscanf(outer + 2 * i, "%2hhx", &id[i]) == 1;
        if (good) field(&f, 7, id, 16);
    }
    field(&f, 8, &tty, 1);
    fields_done(r, 'S', &f);
}

/* The shell as it was meant. What we put into its environment keeps it, and its children, from being witnessed twice. */
static void become(const char *exe, char **argv, const char *scope, const char *command) __attribute__((noreturn));
static void become(const char *exe, char **argv, const char *scope, const char *command) {
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("TAPES_SCOPE", scope, 1);
    setenv("TAPES_COMMAND", command, 1);
    setenv("TAPES_SHELL_PID", pid, 1);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    argv -= has_profile;
    if (has_profile) {
        argv[0] = argv[1];
        argv[1] = "--noprofile";
    }
    execv(exe, argv);
    if (errno == E2BIG) {
        /* Our few bytes were the last straw: without them, and without a trampoline that would call us again. */
        const char *ours[] = {"TAPES_SCOPE", "TAPES_COMMAND", "TAPES_SHELL_PID", "BASH_ENV"};
        for (int i = 0; i < 4; i++) unsetenv(ours[i]);
        execv(exe, argv);
    }
    _exit(errno == ENOENT ? 127 : 126);
}

static int line_open(struct line *line) {
    if (pipe(line->to_pump) < 0 || pipe(line->to_waiter) < 0) return -1;
    for (int i = 0; i < 2; i++) {
        line->to_pump[i] = move_up(line->to_pump[i]);
        line->to_waiter[i] = move_up(line->to_waiter[i]);
        if (line->to_pump[i] < 0 || line->to_waiter[i] < 0) return -1;
    }
    return 0;
}

/* Two forks, so that the pump is nobody's child: who kills the agent's processes parent by parent passes it over. */
static int pump_start(struct report *r, struct stream s[2], const struct line *line, uint64_t began, int deep, int as_child) {
    pid_t self = getpid(), between = fork();
    int status;
    if (between > 0 && as_child) {
        setpgid(between, between); /* before the command can kill its group */
        return 0;
    }
    if (between == 0) {
        if (as_child ? setpgid(0, 0) < 0 : setsid() < 0) _exit(1);
        if (as_child) pump(r, s, line, self, began, deep);
        pid_t pid = fork();
        if (pid == 0) pump(r, s, line, self, began, deep);
        _exit(pid < 0);
    }
    return between > 0 && waitpid(between, &status, 0) == between && status == 0 ? 0 : -1;
}

static void in_child(pid_t parent, struct stream s[2], int deep) {
#ifdef __linux__
    /* kill -9 of the process the agent knows ends the shell, as it would have. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
#else
    (void)parent;
#endif
    for (int i = 0; i < 2; i++) {
        if (s[i].kind != PASSED) continue;
        dup2(s[i].to_command, i + 1);
        if (s[i].tag == 'm') dup2(s[i].to_command, 2);
    }
    if (deep >= 0) {
        int listener = deep_install();
        for (int i = 0; i < 2; i++) deep_send(deep, listener); /* to the waiter and to the pump */
    }
}

static int run(char **args) {
    static struct stream streams[2];
    struct report r;
    struct line line;
    char id[33] = "", link[40], path[4096];
    const char *fifo = args[0], *nonce = args[1], *scope = args[2], *outer = args[3], *underscore = args[4], *exe = args[5];
    char **argv = args + 8;
    uint64_t began = mono_now();
    has_profile = strchr(args[6], 'l') != NULL; /* the word "--" before argv makes room for one more */
    if (strncmp(exe, "fd:", 3) == 0) {
        int fd = atoi(exe + 3);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof path - 1);
        close(fd);
        if (n < 1) return 126;
        path[n] = 0;
        exe = path;
    }
    if (*underscore) setenv("_", underscore, 1);
    else unsetenv("_");
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask_before);
    if (report_open(&r, fifo, nonce) < 0 || draw_id(&r, id) < 0) become(exe, argv, scope, "");
    if (streams_prepare(streams) < 0 || line_open(&line) < 0) become(exe, argv, scope, "");
    int deep[2] = {-1, -1};
    if (strchr(args[6], 'd') && socketpair(AF_UNIX, SOCK_DGRAM, 0, deep) < 0) deep[0] = deep[1] = -1;
    for (int i = 0; i < 2; i++)
        if (deep[i] >= 0) deep[i] = move_up(deep[i]);
    report_start(&r, argv, outer);
    report_flush(&r); /* before anything that starts in it can be told */
    /* Without a pump the waiter does its work, and reports what it can. */
    if (pump_start(&r, streams, &line, began, deep[0], strchr(args[6], 'c') != NULL) == 0) report_forget(&r);
    pid_t sentinel = sentinel_start(); /* before the command, which may signal its group at once */
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        in_child(parent, streams, deep[1]);
        become(exe, argv, scope, id);
    }
    if (child < 0) {
        /* It runs in our place, and nobody will see its end: neither exited nor signalled. */
        struct message unseen = {.what = 'e', .status = 0x7f, .mono = mono_now(), .wall = wall_now()};
        if (write(line.to_pump[1], &unseen, sizeof unseen) < 0) { /* no pump either */
        }
        sentinel_end(sentinel);
        become(exe, argv, scope, "");
    }
    if (deep[1] >= 0) close(deep[1]);
    wait_for(&r, child, sentinel, streams, &line, began, deep[0]);
}

/* The argv of a process may be long; /proc gives it piece by piece. */
static int refine(char **args) {
    struct report r;
    struct fields f = {0};
    static char text[1 << 20];
    char path[40];
    size_t length = 0;
    ssize_t n;
    if (report_open(&r, args[0], args[1]) < 0 || strlen(args[2]) != 32) return 0;
    for (int i = 0; i < 16; i++)
        if (sscanf(args[2] + 2 * i, "%2hhx", &r.id[i]) != 1) return 0;
    snprintf(path, sizeof path, "/proc/%d/cmdline", getppid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && length < sizeof text && (n = read(fd, text + length, sizeof text - length)) > 0) length += (size_t)n;
    for (size_t at = 0; at < length;) {
        size_t word = strnlen(text + at, length - at);
        field(&f, 1, text + at, word);
        at += word + 1;
    }
    r.seq = UINT32_MAX; /* not of the pump's numbers */
    add_ids(&f);
    if (length) fields_done(&r, 'R', &f);
    report_flush(&r);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 10 && strcmp(argv[1], "run") == 0 && strcmp(argv[9], "--") == 0) return run(argv + 2);
    if (argc == 5 && strcmp(argv[1], "refine") == 0) return refine(argv + 2);
    if (argc == 2 && strcmp(argv[1], "version") == 0) return write(1, "tapes-sh 1\n", 11) == 11 ? 0 : 1;
    return 125;
}
