/* Preloaded into a node: a slow disk while $FAULTS/slow exists, a wrong clock while $FAULTS/skew does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLOW_NS 400000000L
#define SKEW_S 3

static int is_on(const char *fault)
{
    const char *directory = getenv("FAULTS");
    char path[4096];
    if (directory == NULL)
        return 0;
    snprintf(path, sizeof path, "%s/%s", directory, fault);
    return access(path, F_OK) == 0;
}

static void be_slow(void)
{
    struct timespec pause = {0, SLOW_NS};
    if (is_on("slow"))
        nanosleep(&pause, NULL);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    be_slow();
    return real(fd);
}

int fsync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    be_slow();
    return real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int code;
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    code = real(clock, now);
    if (code == 0 && clock == CLOCK_REALTIME && is_on("skew"))
        now->tv_sec += SKEW_S;
    return code;
}
