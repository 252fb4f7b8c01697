// A link between two network namespaces with a delay, a rate, loss and a limit for the size of packets.
//
// usage: shaped_link PID1 INTERFACE1 PID2 INTERFACE2
//
// Makes one TAP interface in the network namespace of each of the two processes, and prints a line with READY. Frames
// that one interface sends come out of the other. Each line on stdin sets all parameters of the link:
//
//   DELAY_US RATE12 RATE21 LOSS12 LOSS21 QUEUE_US BIGGEST
//
// DELAY_US: one-way delay. RATE: bytes a second, 0 for no limit. LOSS: share of the frames that are lost, 1 for all.
// QUEUE_US: how long a frame waits for the line at most; a frame that would wait longer is dropped. BIGGEST: bytes of
// an IP packet; larger ones are dropped without a word. The program ends when stdin is closed. The losses are those
// of a generator with a fixed seed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, HEADER = 14, LINE = 1 << 15, BURST = 64 };
struct frame { long long at; int size; unsigned char *data; };
struct direction {
  int from, to;
  double rate, loss;
  long long free_at;  // when the line has sent all frames before
  struct frame *frames;  // a ring; the oldest is at first
  unsigned first, next;
};

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_tap(const char *pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
  int space = open(path, O_RDONLY);
  if (space < 0 || setns(space, CLONE_NEWNET)) { perror(path); exit(1); }
  close(space);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tap < 0) { perror("/dev/net/tun"); exit(1); }
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (ioctl(tap, TUNSETIFF, &request)) { perror("TUNSETIFF"); exit(1); }
  return tap;
}

int main(int count, char **given) {
  if (count != 5) { fprintf(stderr, "usage: shaped_link PID1 INTERFACE1 PID2 INTERFACE2\n"); return 2; }
  struct direction ways[2];
  memset(ways, 0, sizeof ways);
  ways[0].from = ways[1].to = open_tap(given[1], given[2]);
  ways[1].from = ways[0].to = open_tap(given[3], given[4]);
  for (int i = 0; i < 2; i++) ways[i].frames = calloc(LINE, sizeof(struct frame));
  long long delay = 0, queue = 1000000000LL;
  int biggest = MOST;
  char line[256];
  int typed = 0;
  static unsigned char buffer[MOST];
  srand48(42);
  fcntl(0, F_SETFL, O_NONBLOCK);
  puts("READY");
  fflush(stdout);
  for (;;) {
    long long at = now(), due = at + 1000000000LL;
    int busy = 0;
    for (int i = 0; i < 2; i++) {
      struct direction *way = &ways[i];
      for (int k = 0; k < BURST; k++) {
        int size = read(way->from, buffer, sizeof buffer);
        if (size <= 0) break;
        busy = 1;
        long long start = way->free_at > at ? way->free_at : at;
        int full = start - at > queue || way->next - way->first >= LINE;
        int lost = way->loss > 0 && drand48() < way->loss;
        if (size - HEADER > biggest || full) continue;
        way->free_at = start + (way->rate > 0 ? (long long)(size * 1e9 / way->rate) : 0);
        if (lost) continue;  // it took its time on the line all the same
        struct frame *frame = &way->frames[way->next++ % LINE];
        frame->at = way->free_at + delay;
        frame->size = size;
        frame->data = malloc(size);
        memcpy(frame->data, buffer, size);
      }
      while (way->first != way->next) {
        struct frame *frame = &way->frames[way->first % LINE];
        if (frame->at > at) { if (frame->at < due) due = frame->at; break; }
        if (write(way->to, frame->data, frame->size) < 0) {}  // that interface is down
        free(frame->data);
        way->first++;
        busy = 1;
      }
    }
    char letter;
    ssize_t got;
    while ((got = read(0, &letter, 1)) == 1) {
      if (letter != '\n') { if (typed < (int)sizeof line - 1) line[typed++] = letter; continue; }
      line[typed] = 0;
      typed = 0;
      double delay_us, queue_us;
      if (sscanf(line, "%lf %lf %lf %lf %lf %lf %d", &delay_us, &ways[0].rate, &ways[1].rate, &ways[0].loss,
                 &ways[1].loss, &queue_us, &biggest) != 7) { fprintf(stderr, "not parameters: %s\n", line); return 2; }
      delay = (long long)(delay_us * 1000);
      queue = (long long)(queue_us * 1000);
      puts("SET");
      fflush(stdout);
    }
    if (got == 0) return 0;
    if (busy) continue;
    long long rest = due - now();
    if (rest <= 0) continue;
    struct timespec wait = { rest / 1000000000LL, rest % 1000000000LL };
    struct pollfd sources[3] = { { ways[0].from, POLLIN, 0 }, { ways[1].from, POLLIN, 0 }, { 0, POLLIN, 0 } };
    ppoll(sources, 3, &wait, NULL);
  }
}
