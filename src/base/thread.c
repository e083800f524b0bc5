#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#define BACKGROUND_NICE 5 /* a third of the weight */

void thread_background(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
    errno = 0;
    int own = getpriority(PRIO_PROCESS, 0); /* 0: the calling thread */
    if (errno == 0) {
        (void)setpriority(PRIO_PROCESS, 0, own + BACKGROUND_NICE);
    }
}
