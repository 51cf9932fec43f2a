/* Makes a disk slow to sync: waits SLOWSYNC_US microseconds before every fsync and fdatasync.
 *
 *   cc -O2 -shared -fPIC -o slowsync.so slowsync.c -ldl
 *   SLOWSYNC_US=1000 LD_PRELOAD=$PWD/slowsync.so klamm serve ...
 *
 * It sees what goes through the C library: a static program, or one that makes the system call
 * itself, is not slowed. The wait is added to what the device takes, and syncs of different
 * threads wait beside each other, as on a device with a queue.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef int sync_function(int);

static void wait_first(void) {
    const char *text = getenv("SLOWSYNC_US");
    long micros = text ? atol(text) : 0;
    if (micros <= 0) return;
    struct timespec left = {micros / 1000000, micros % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

int fsync(int file) {
    wait_first();
    return ((sync_function *)dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
    wait_first();
    return ((sync_function *)dlsym(RTLD_NEXT, "fdatasync"))(file);
}
