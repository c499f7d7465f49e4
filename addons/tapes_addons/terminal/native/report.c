/* Reports: frames of at most PIPE_BUF bytes, each written with one write(2), so that writers never mix.
 *
 * Layout (little endian): "TPS1", nonce of the run (8), command id (16), kind, flags, payload length u16, sequence
 * number u32, CLOCK_MONOTONIC ns u64, 0 u32; then the payload. The reader's side is frames.py, which says it in full.
 * A report waits here while the FIFO is full: nothing in this file ever blocks.
 */
#include "tapes-sh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct node {
    struct node *next;
    uint64_t mono;
    size_t length, sent, room;
    char kind, stream;
    unsigned char data[];
};

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}
uint64_t mono_now(void) { return now(CLOCK_MONOTONIC); }
uint64_t wall_now(void) { return now(CLOCK_REALTIME); }

void put32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> (8 * i));
}
void put64(unsigned char *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(value >> (8 * i));
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

int report_open(struct report *r, const char *fifo, const char *nonce_hex) {
    memset(r, 0, sizeof *r);
    r->fifo = -1;
    if (strlen(nonce_hex) != 16) return -1;
    for (int i = 0; i < 8; i++) {
        int high = digit(nonce_hex[2 * i]), low = digit(nonce_hex[2 * i + 1]);
        if (high < 0 || low < 0) return -1;
        r->nonce[i] = (unsigned char)(high << 4 | low);
    }
    /* Without a reader this fails (ENXIO) instead of waiting; what is no FIFO, or leads elsewhere, is not ours. */
    int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0) return -1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        close(fd);
        return -1;
    }
    r->fifo = move_up(fd);
    return r->fifo < 0 ? -1 : 0;
}

static struct node *node_new(struct report *r, char kind, size_t length, size_t room) {
    if (r->fifo < 0) return NULL;
    if (r->queued + room > MOST_QUEUED) return NULL;
    struct node *n = malloc(sizeof *n + room);
    if (!n) return NULL;
    *n = (struct node){.mono = mono_now(), .length = length, .room = room, .kind = kind};
    r->queued += room;
    if (r->tail) r->tail->next = n;
    else r->head = n;
    return r->tail = n;
}

void field(struct fields *f, unsigned char tag, const void *data, size_t length) {
    if (f->failed) return;
    if (f->length + length + 5 > f->room) {
        size_t room = (f->length + length + 5) * 2 + 4096;
        unsigned char *more = realloc(f->data, room);
        if (!more) {
            f->failed = 1;
            return;
        }
        f->data = more;
        f->room = room;
    }
    f->data[f->length] = tag;
    put32(f->data + f->length + 1, (uint32_t)length);
    memcpy(f->data + f->length + 5, data, length);
    f->length += length + 5;
}

void report_fixed(struct report *r, char kind, const void *data, size_t length) {
    struct node *n = node_new(r, kind, length, length);
    if (!n) {
        r->lost_frames += 1 + length / (FRAME - HEADER);
        return;
    }
    memcpy(n->data, data, length);
    if (kind == 'E') r->ended = n;
}

void fields_done(struct report *r, char kind, struct fields *f) {
    if (!f->failed) report_fixed(r, kind, f->data, f->length);
    else r->lost_frames++;
    free(f->data);
    *f = (struct fields){0};
}

void report_output(struct report *r, char stream, const unsigned char *data, size_t length) {
    if (r->fifo < 0) {
        r->dropped += length;
        return;
    }
    /* Many small writes become one report, while they wait. */
    struct node *last = r->tail;
    if (last && last->kind == 'O' && last->stream == stream && last->room - last->length >= length) {
        memcpy(last->data + last->length, data, length);
        last->length += length;
        return;
    }
    size_t room = length < 4000 && r->head ? 4000 : length;
    struct node *n = node_new(r, 'O', length, room);
    if (!n) {
        r->dropped += length;
        return;
    }
    n->stream = stream;
    memcpy(n->data, data, length);
}

void report_ended(struct report *r, const struct message *m, uint64_t began, int open) {
    unsigned char body[57];
    uint64_t micros = 1000000;
    put32(body, WIFEXITED(m->status) ? (uint32_t)WEXITSTATUS(m->status) : UINT32_MAX);
    put32(body + 4, WIFSIGNALED(m->status) ? (uint32_t)WTERMSIG(m->status) : 0);
    put64(body + 8, m->mono - began);
    put64(body + 16, (uint64_t)m->usage.ru_utime.tv_sec * micros + (uint64_t)m->usage.ru_utime.tv_usec);
    put64(body + 24, (uint64_t)m->usage.ru_stime.tv_sec * micros + (uint64_t)m->usage.ru_stime.tv_usec);
#ifdef __APPLE__
    put64(body + 32, (uint64_t)m->usage.ru_maxrss / 1024);
#else
    put64(body + 32, (uint64_t)m->usage.ru_maxrss);
#endif
    put64(body + 40, r->dropped);
    body[48] = (unsigned char)open;
    put64(body + 49, m->wall);
    report_fixed(r, 'E', body, sizeof body);
}

void report_end_first(struct report *r) {
    struct node *end = r->ended, *before = NULL;
    if (!end || !r->head) return;
    end->data[48] = 2;
    if (r->head == end || (r->head->kind != 'O' && r->head->next == end)) return;
    for (before = r->head; before->next != end; before = before->next)
        if (!before->next) return;
    before->next = end->next;
    if (r->tail == end) r->tail = before;
    /* Not into the middle of a report of several frames: the start has to be whole before the end. */
    struct node *after = r->head->kind == 'O' ? NULL : r->head;
    end->next = after ? after->next : r->head;
    if (after) after->next = end;
    else r->head = end;
    if (after == r->tail) r->tail = end;
}

void report_forget(struct report *r) {
    while (r->head) {
        struct node *n = r->head;
        r->head = n->next;
        if (n->kind == 'O') r->dropped += n->length - n->sent;
        free(n);
    }
    r->tail = r->ended = NULL;
    r->queued = 0;
}

static void give_up(struct report *r) {
    report_forget(r);
    close(r->fifo);
    r->fifo = -1;
}

/* One frame of the first report: 1 sent, 0 not now, -1 never. */
static int send_frame(struct report *r) {
    struct node *n = r->head;
    unsigned char head[HEADER + 1] = "TPS1";
    size_t before = n->kind == 'O' ? 1 : 0, left = n->length - n->sent;
    size_t part = left < FRAME - HEADER - before ? left : FRAME - HEADER - before;
    memcpy(head + 4, r->nonce, 8);
    memcpy(head + 12, r->id, 16);
    head[28] = (unsigned char)n->kind;
    head[29] = n->kind != 'O' && part < left;
    head[30] = (unsigned char)(part + before);
    head[31] = (unsigned char)((part + before) >> 8);
    put32(head + 32, r->seq);
    put64(head + 36, n->mono);
    put32(head + 44, 0);
    head[HEADER] = (unsigned char)n->stream;
    struct iovec parts[2] = {{head, HEADER + before}, {n->data + n->sent, part}};
    ssize_t written = writev(r->fifo, parts, 2);
    if (written < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (r->seq != UINT32_MAX) r->seq++;
    n->sent += part;
    if (n->sent < n->length) return 1;
    if (n == r->ended) r->ended = NULL;
    r->head = n->next;
    if (!r->head) r->tail = NULL;
    r->queued -= n->room;
    free(n);
    return 1;
}

void report_flush(struct report *r) {
    int sent = 1;
    while (r->fifo >= 0 && r->head && sent > 0) {
        sent = send_frame(r);
        if (sent < 0) give_up(r);
    }
}

int report_idle(const struct report *r) { return r->fifo < 0 || !r->head; }
uint64_t report_room(const struct report *r) { return r->fifo < 0 ? 0 : MOST_QUEUED - r->queued; }
