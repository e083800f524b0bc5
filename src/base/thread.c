#include "base/thread.h"

#include <pthread.h>
#include <sys/resource.h>

#define BACKGROUND_NICE 5

void thread_background(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
    /* 0: the calling thread. Who started the process lower than this stays there. */
    if (getpriority(PRIO_PROCESS, 0) < BACKGROUND_NICE) {
        (void)setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE);
    }
}
