/* The waiter: to the agent it is the command. It passes signals on, stops when the command stops, and ends as it ended.
 *
 * A signal for the whole process group reaches the command by itself, one for our process id alone does not, and they
 * look the same. The sentinel knows: it sits in the same group, blocks everything, and has a signal pending only when
 * it was for all. (Younger processes of a group get a signal first, so it has it before we do.)
 */
#include "tapes-sh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static int signal_pipe[2] = {-1, -1};

static void caught(int number) {
    int before = errno;
    unsigned char byte = (unsigned char)number;
    if (write(signal_pipe[1], &byte, 1) < 0) { /* full: there are more than enough to look at */
    }
    errno = before;
}

static void catch_all(void) {
    struct sigaction act = {.sa_handler = caught, .sa_flags = SA_RESTART};
    sigfillset(&act.sa_mask);
    for (int number = 1; number < NSIG; number++) sigaction(number, &act, NULL); /* KILL, STOP and libc's own refuse */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t sentinel_start(void) {
#ifdef __linux__
    /* Blocked before it exists: one that a signal for the group ended would let us send the command a second one. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return pid;
    }
    keep_only(NULL, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent) pause();
    _exit(0);
#else
    return -1;
#endif
}

void sentinel_end(pid_t sentinel) {
    if (sentinel > 0) kill(sentinel, SIGKILL), waitpid(sentinel, NULL, 0);
}

static int is_pending(pid_t pid, int number) {
    char path[40], line[128];
    unsigned long long mask = 0, part;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "SigPnd: %llx", &part) == 1 || sscanf(line, "ShdPnd: %llx", &part) == 1) mask |= part;
    fclose(file);
    return (int)(mask >> (number - 1) & 1);
}

struct waiting {
    pid_t child, sentinel;
    struct stream *streams;
    struct report *report; /* of use only when the pump has gone */
    int to_pump, from_pump;
    struct message end; /* the last that we told the pump */
    int is_stopped, is_over, status;
    struct rusage usage;
};

static void tell_pump(struct waiting *w, char what) {
    struct message m = {.what = what, .status = w->status, .child = w->child, .usage = w->usage, .mono = mono_now(), .wall = wall_now()};
    w->end = m;
    if (w->from_pump >= 0 && write(w->to_pump, &m, sizeof m) < 0) { /* it is gone, as from_pump will say */
    }
}

static void pass_on(struct waiting *w, int number) {
    if (w->sentinel > 0 && is_pending(w->sentinel, number) && getpgid(w->child) == getpgrp()) {
        /* The command has it. What is pending can only be taken back by its owner's end, and the next signal must
         * find a sentinel. */
        pid_t spent = w->sentinel;
        w->sentinel = sentinel_start();
        sentinel_end(spent);
        return;
    }
    kill(w->child, number);
}

static void stop_too(struct waiting *w, int number) {
    tell_pump(w, 's');
    w->is_stopped = 1;
    if (number == SIGSTOP) {
        raise(SIGSTOP);
        return;
    }
    struct sigaction before, plain = {.sa_handler = SIG_DFL};
    sigaction(number, &plain, &before);
    raise(number);
    sigaction(number, &before, NULL);
}

static void look_at_child(struct waiting *w) {
    int status;
    struct rusage usage;
    while (!w->is_over && wait4(w->child, &status, WNOHANG | WUNTRACED | WCONTINUED, &usage) == w->child) {
        if (WIFSTOPPED(status)) stop_too(w, WSTOPSIG(status));
        else if (WIFCONTINUED(status)) w->is_stopped = 0;
        else {
            w->status = status;
            w->usage = usage;
            w->is_over = 1;
        }
    }
}

static void on_signals(struct waiting *w) {
    unsigned char numbers[64];
    ssize_t n = read(signal_pipe[0], numbers, sizeof numbers);
    look_at_child(w);
    for (ssize_t i = 0; i < n && !w->is_over; i++) {
        if (numbers[i] == SIGCHLD) continue;
        if (numbers[i] == SIGCONT) {
            if (w->is_stopped) kill(w->child, SIGCONT);
            else if (w->sentinel > 0) pass_on(w, SIGCONT);
            w->is_stopped = 0;
        } else pass_on(w, numbers[i]);
    }
}

/* 1 when the pump has no more need of us. */
static int on_pump(struct waiting *w) {
    char words[16];
    ssize_t n = read(w->from_pump, words, sizeof words);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    if (n <= 0) {
        close(w->from_pump);
        w->from_pump = -1;
        for (int i = 0; i < 2; i++)
            if (w->is_over) stream_count_owed(&w->streams[i]);
        return 0;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (words[i] == 'd') return 1;
        if (words[i] == 'D') {
            while (waitpid(-1, NULL, 0) > 0) { /* the pump, where it is a child of ours */
            }
            return 1;
        }
        if (words[i] == '0' || words[i] == '1') stream_close(&w->streams[words[i] - '0']);
    }
    return 0;
}

static void end_alike(int status) __attribute__((noreturn));
static void end_alike(int status) {
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
#ifdef __linux__
        prctl(PR_SET_DUMPABLE, 0); /* the command has left its core, if it left one */
#endif
        signal(number, SIG_DFL);
        kill(getpid(), number);
        _exit(128 + number);
    }
    _exit(WEXITSTATUS(status));
}

/* Killed pump: then we pass the output on ourselves, so that the command goes on and loses nothing. */
static void pass_alone(struct waiting *w, const struct pollfd *fds, int count) {
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < count; k++)
            if (w->streams[i].kind == PASSED && fds[k].revents && (fds[k].fd == w->streams[i].in || fds[k].fd == w->streams[i].out)) {
                if (fds[k].fd == w->streams[i].out && !(fds[k].revents & POLLOUT)) stream_close(&w->streams[i]);
                else stream_pass(&w->streams[i], w->report);
                break;
            }
}

static void report_alone(struct report *r, const struct message *end, uint64_t began) {
    uint64_t until = mono_now() + BUDGET_NS;
    report_ended(r, end, began, 0);
    for (;;) {
        report_flush(r);
        if (report_idle(r) || mono_now() > until) break;
        struct pollfd room = {r->fifo, POLLOUT, 0};
        poll(&room, 1, 10);
    }
    report_end_first(r);
    report_flush(r);
}

void wait_for(struct report *r, pid_t child, pid_t sentinel, struct stream s[2], const struct line *line, uint64_t began,
              int deep) {
    struct waiting w = {.child = child, .sentinel = sentinel, .streams = s, .to_pump = line->to_pump[1], .from_pump = line->to_waiter[0], .report = r};
    for (int i = 0; i < 2; i++)
        if (s[i].kind == FOLLOWED) stream_close(&s[i]);
    int keep[] = {s[0].in, s[0].out, s[1].in, s[1].out, w.to_pump, w.from_pump, r->fifo, deep};
    keep_only(keep, 8);
    r->seq = UINT32_MAX; /* the pump counts */
    if (pipe(signal_pipe) == 0) {
        for (int i = 0; i < 2; i++) {
            signal_pipe[i] = move_up(signal_pipe[i]);
            fcntl(signal_pipe[i], F_SETFL, O_NONBLOCK | (i ? O_WRONLY : O_RDONLY));
        }
    }
    catch_all();
    int told = 0, listener = deep < 0 ? -1 : deep_receive(deep);
    if (deep >= 0) close(deep);
    for (;;) {
        look_at_child(&w);
        if (w.is_over && !told) {
            sentinel_end(w.sentinel);
            w.sentinel = -1;
            tell_pump(&w, 'e');
            told = 1;
            if (w.from_pump < 0)
                for (int i = 0; i < 2; i++) stream_count_owed(&s[i]);
        }
        if (w.is_over && w.from_pump < 0 && !s[0].owed && !s[1].owed) {
            report_alone(r, &w.end, began);
            break;
        }
        struct pollfd fds[8] = {{signal_pipe[0], POLLIN, 0}, {w.from_pump, POLLIN, 0}, {listener, POLLIN, 0}};
        int count = 3;
        if (!report_idle(r)) fds[count++] = (struct pollfd){r->fifo, POLLOUT, 0};
        for (int i = 0; i < 2 && w.from_pump < 0; i++) {
            if (s[i].kind != PASSED) continue;
            fds[count++] = (struct pollfd){s[i].in, s[i].held ? 0 : POLLIN, 0};
            fds[count++] = (struct pollfd){s[i].out, s[i].held ? POLLOUT : 0, 0};
        }
        /* Without the pipe for signals (no descriptor left) we look every now and then. */
        if (poll(fds, (nfds_t)count, signal_pipe[0] < 0 ? 10 : -1) < 0) continue;
        if (fds[0].revents) on_signals(&w);
        if (fds[2].revents & POLLIN) deep_serve(listener, r);
        else if (fds[2].revents) close(listener), listener = -1;
        report_flush(r);
        if (count > 3) pass_alone(&w, fds + 3, count - 3);
        if (fds[1].revents && on_pump(&w)) break;
    }
    end_alike(w.status);
}
