/* The pump: passes output on to the agent at once, and reports it as well as it can.
 *
 * It outlives the command while background jobs hold its output, as they would have held the agent's own. When the
 * waiter dies without a word, it was SIGKILL: everything else the waiter catches or passes on to itself.
 */
#include "tapes-sh.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLLOW_MS 50 /* how often a file is read along */
#define WATCH_MS 20
#define DYING_NS 50000000ull /* a killed waiter's shell dies just after it */
#define HELD_NS 1000000000ull /* how often to look who writes to a file after the command's end */

struct pumping {
    struct report *report;
    struct stream *streams;
    int from_waiter, to_waiter, listener, deep;
    pid_t waiter, child, stopped;
    uint64_t began, ended_at, asked_at, over_at;
    struct message end;
    int has_ended, told_end, told_open, told_waiter, was_killed;
};

static void tell_waiter(struct pumping *p, char what) {
    if (p->to_waiter >= 0 && write(p->to_waiter, &what, 1) < 0) {
        close(p->to_waiter);
        p->to_waiter = -1;
    }
}

static void heard(struct pumping *p, const struct message *m) {
    if (m->what == 's') {
        p->stopped = m->child;
        return;
    }
    p->end = *m;
    p->has_ended = 1;
    p->ended_at = mono_now();
    for (int i = 0; i < 2; i++) stream_count_owed(&p->streams[i]);
}

static void listen_to_waiter(struct pumping *p) {
    struct message m;
    ssize_t n = read(p->from_waiter, &m, sizeof m);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n == (ssize_t)sizeof m) {
        heard(p, &m);
        return;
    }
    close(p->from_waiter);
    p->from_waiter = -1;
    p->stopped = 0;
    if (p->has_ended) return;
    p->was_killed = 1;
    m = (struct message){.what = 'e', .status = SIGKILL, .mono = mono_now(), .wall = wall_now()};
    heard(p, &m);
}

static void report_end(struct pumping *p, int open) {
    report_ended(p->report, &p->end, p->began, open);
    p->told_end = 1;
    p->told_open = open;
}

static int any_open(struct pumping *p) {
    int open = 0;
    for (int i = 0; i < 2; i++) {
        struct stream *s = &p->streams[i];
        if (s->kind == FOLLOWED && !stream_is_held(s, p->end.child)) {
            stream_follow(s, p->report);
            stream_close(s);
        }
        open |= s->kind != NOTHING;
    }
    return open;
}

static void report_counts(struct pumping *p) {
    unsigned char body[16];
    if (!p->report->lost_frames) return;
    put64(body, p->report->lost_frames);
    put64(body + 8, 0);
    p->report->lost_frames = 0;
    report_fixed(p->report, 'L', body, sizeof body);
}

static int is_over(struct pumping *p);

/* After the command's end, in order: its output to the agent, our reports or their time, the waiter may go. */
static void end_game(struct pumping *p) {
    struct stream *s = p->streams;
    if (!p->has_ended || (!p->told_end && (s[0].owed || s[1].owed))) return;
    if (!p->told_end) {
        int passed = s[0].kind == PASSED || s[1].kind == PASSED;
        if (p->was_killed && passed && mono_now() - p->ended_at < DYING_NS) return;
        for (int i = 0; i < 2; i++) {
            stream_pass(&s[i], p->report); /* its end of file, where nobody else holds it */
            stream_follow(&s[i], p->report);
        }
        report_counts(p);
        report_end(p, any_open(p));
        p->asked_at = mono_now();
        report_flush(p->report);
    }
    int late = mono_now() - p->ended_at > BUDGET_NS;
    if (!p->told_waiter && late && p->report->ended) {
        /* In a sandbox we die with the waiter: how it ended matters more than the rest of what it wrote. */
        report_end_first(p->report);
        p->told_open = 1;
        report_flush(p->report);
    }
    if (!p->told_waiter && (late || report_idle(p->report))) {
        p->told_waiter = 1;
        /* 'D': we leave in this moment, and can be waited for */
        tell_waiter(p, is_over(p) ? 'D' : 'd');
    }
}

static int is_over(struct pumping *p) {
    if (!p->told_waiter) return 0;
    if (p->streams[0].kind == FOLLOWED || p->streams[1].kind == FOLLOWED) {
        if (mono_now() - p->asked_at < HELD_NS) return 0;
        p->asked_at = mono_now();
        any_open(p);
    }
    if (p->streams[0].kind != NOTHING || p->streams[1].kind != NOTHING || p->listener >= 0) return 0;
    if (!p->over_at) {
        unsigned char body[8];
        put64(body, p->report->dropped);
        report_counts(p);
        if (p->told_open) report_fixed(p->report, 'C', body, sizeof body);
        report_flush(p->report);
        p->over_at = mono_now();
    }
    return report_idle(p->report) || mono_now() - p->over_at > LINGER_NS;
}

/* A stopped waiter can not see that somebody continued its child alone. */
static void watch_stopped(struct pumping *p) {
#ifdef __linux__
    char path[40], text[512], *mark;
    snprintf(path, sizeof path, "/proc/%d/stat", p->stopped);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n] = 0;
    mark = strrchr(text, ')');
    if (mark && (mark[2] == 'T' || mark[2] == 't')) return;
#endif
    p->stopped = 0;
    kill(p->waiter, SIGCONT);
}

static int wait_ms(struct pumping *p) {
    if (p->stopped) return WATCH_MS;
    if (p->has_ended && !p->told_waiter) return 10;
    if (p->streams[0].kind == FOLLOWED || p->streams[1].kind == FOLLOWED) return p->has_ended ? 250 : FOLLOW_MS;
    return p->over_at ? 1000 : -1;
}

void pump(struct report *r, struct stream s[2], const struct line *line, pid_t waiter, uint64_t began, int deep) {
    struct pumping p = {.report = r, .streams = s, .from_waiter = line->to_pump[0], .to_waiter = line->to_waiter[1],
                        .listener = -1, .deep = -1, .waiter = waiter, .began = began};
    int keep[] = {r->fifo, s[0].in, s[0].out, s[1].in, s[1].out, p.from_waiter, p.to_waiter, deep};
    signal(SIGPIPE, SIG_IGN);
    if (chdir("/") < 0) { /* then some directory stays busy: no reason to stop */
    }
    keep_only(keep, 8);
    p.deep = deep;
    while (!is_over(&p)) {
        struct pollfd fds[8];
        int count = 0, alive[2];
        report_flush(r);
        for (int i = 0; i < 2; i++) {
            alive[i] = s[i].kind;
            if (s[i].kind != PASSED) continue;
            fds[count++] = (struct pollfd){s[i].in, s[i].held ? 0 : POLLIN, 0};
            /* Without a wish this still tells that the agent has hung up. */
            fds[count++] = (struct pollfd){s[i].out, s[i].held ? POLLOUT : 0, 0};
        }
        int outputs = count;
        if (p.from_waiter >= 0) fds[count++] = (struct pollfd){p.from_waiter, POLLIN, 0};
        if (p.deep >= 0) fds[count++] = (struct pollfd){p.deep, POLLIN, 0};
        /* The waiter looks first, while it can. */
        int ours = p.from_waiter < 0 || p.told_waiter || p.stopped;
        if (p.listener >= 0) fds[count++] = (struct pollfd){p.listener, ours ? POLLIN : 0, 0};
        if (r->fifo >= 0) fds[count++] = (struct pollfd){r->fifo, r->head ? POLLOUT : 0, 0};
        poll(fds, (nfds_t)count, wait_ms(&p));
        for (int i = 0, at = 0; i < 2 && at < outputs; i++) {
            if (alive[i] != PASSED) continue;
            int hung_up = fds[at + 1].revents & (POLLERR | POLLHUP | POLLNVAL);
            if (fds[at].revents || fds[at + 1].revents & POLLOUT) stream_pass(&s[i], r);
            else if (hung_up) stream_close(&s[i]);
            at += 2;
        }
        for (int i = 0; i < 2; i++) {
            if (s[i].kind == FOLLOWED && !p.has_ended) stream_follow(&s[i], r);
            if (alive[i] == PASSED && s[i].kind == NOTHING) tell_waiter(&p, (char)('0' + i));
        }
        for (int i = outputs; i < count; i++) {
            if (!fds[i].revents) continue;
            if (fds[i].fd == p.from_waiter) listen_to_waiter(&p);
            else if (fds[i].fd == p.deep) {
                p.listener = deep_receive(p.deep);
                if (p.listener < 0) report_fixed(r, 'D', "", 0);
                close(p.deep);
                p.deep = -1;
            } else if (fds[i].fd == p.listener) {
                if (fds[i].revents & POLLIN) deep_serve(p.listener, r);
                else close(p.listener), p.listener = -1;
            } else if (fds[i].fd == r->fifo && fds[i].revents & POLLERR && !r->head) {
                close(r->fifo); /* no reader, and none will come */
                r->fifo = -1;
            }
        }
        if (p.has_ended) {
            for (int i = 0; i < 2; i++)
                if (s[i].kind == FOLLOWED && p.told_end) stream_follow(&s[i], r);
            end_game(&p);
        }
        if (p.stopped) watch_stopped(&p);
    }
    _exit(0);
}
