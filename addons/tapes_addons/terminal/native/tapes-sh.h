/* tapes-sh: the witness of one shell command.
 *
 *   agent ── P (this program, in the process the agent started) ── the real shell
 *              ├── sentinel   in P's group; tells signals for the group from signals for P
 *              └┄┄ pump       an orphan in a session of its own: tees the output, reports to the FIFO
 *
 * Whatever goes wrong, the agent's command runs as it would have without us, and nothing is ever printed.
 */
#ifndef TAPES_SH_H
#define TAPES_SH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define FRAME 4096 /* PIPE_BUF: what the kernel writes to a pipe in one piece */
#define HEADER 48
#define MOST_QUEUED (64u << 20) /* bytes of reports held in memory while the reader is slow; more is counted, not kept */
#define BUDGET_NS 300000000ull  /* how long the agent may wait for our reports after its command has ended */
#define LINGER_NS 60000000000ull /* how long reports of a command that is over wait for a reader that does not read */

uint64_t mono_now(void);
uint64_t wall_now(void);

/* -- report.c: what is still to be told, and the FIFO it goes to */

struct node;

struct message { /* from the waiter to the pump */
    char what;       /* 'e' ended, 's' stopped */
    int status;
    pid_t child;
    struct rusage usage;
    uint64_t mono, wall;
};

struct report {
    int fifo; /* -1 when there is nobody to tell any more */
    unsigned char nonce[8], id[16];
    uint32_t seq; /* UINT32_MAX: outside of the counting */
    struct node *head, *tail, *ended;
    size_t queued;
    uint64_t dropped;     /* bytes of output that found no room */
    uint64_t lost_frames; /* other reports that found none */
};

int report_open(struct report *r, const char *fifo, const char *nonce_hex);
/* Fields are collected with field(), and queued as one report of `kind` by fields_done(). */
struct fields {
    unsigned char *data;
    size_t length, room;
    int failed;
};
void field(struct fields *f, unsigned char tag, const void *data, size_t length);
void fields_done(struct report *r, char kind, struct fields *f);
void report_output(struct report *r, char stream, const unsigned char *data, size_t length);
void report_fixed(struct report *r, char kind, const void *data, size_t length);
void report_ended(struct report *r, const struct message *m, uint64_t began, int open);
void report_end_first(struct report *r); /* let the end overtake output that waits, and mark it as open */
void report_forget(struct report *r);
void report_flush(struct report *r);     /* as much as goes without waiting */
int report_idle(const struct report *r);
uint64_t report_room(const struct report *r);
void put32(unsigned char *at, uint32_t value);
void put64(unsigned char *at, uint64_t value);

/* -- stream.c: one of the command's outputs */

enum kind { NOTHING, PASSED, FOLLOWED };

struct stream {
    enum kind kind;
    char tag;       /* 'o', 'e', or 'm' for both in one */
    int in;         /* PASSED: read end of what the command writes to. FOLLOWED: the agent's file, opened to read */
    int to_command; /* PASSED: its write end, until the command has it */
    int out;        /* PASSED: the agent's own */
    int is_socket;
    size_t held, at; /* bytes of `buffer` that the agent has not taken yet */
    size_t owed;     /* after the command's end: bytes it wrote that have not reached the agent */
    off_t position;  /* FOLLOWED: read up to here */
    dev_t device;
    ino_t inode;
    unsigned char buffer[65536];
};

int streams_prepare(struct stream s[2]); /* 0, or -1: leave the command alone */
void stream_close(struct stream *s);
/* Moves bytes; `report` may be null. 1 when something moved. The stream closes itself at its end. */
int stream_pass(struct stream *s, struct report *report);
void stream_follow(struct stream *s, struct report *report);
void stream_count_owed(struct stream *s);
int stream_is_held(const struct stream *s, pid_t younger_than);
int move_up(int fd); /* to a number that no shell redirects, close-on-exec */
void keep_only(const int *fds, int count);

/* -- pump.c, waiter.c */

struct line { /* between waiter and pump */
    int to_pump[2], to_waiter[2];
};

void pump(struct report *r, struct stream s[2], const struct line *line, pid_t waiter, uint64_t began, int deep);
pid_t sentinel_start(void);
void sentinel_end(pid_t sentinel);
void wait_for(struct report *r, pid_t child, pid_t sentinel, struct stream s[2], const struct line *line, uint64_t began,
              int deep) __attribute__((noreturn));

/* -- deep.c: every exec attempt below the command (Linux) */

int deep_install(void); /* in the child: the listener, or -1 */
void deep_send(int line, int listener);
int deep_receive(int line);
void deep_serve(int listener, struct report *r);

#endif
