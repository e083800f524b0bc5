/* thread.h - what a thread says of itself. */
#pragma once

/* The calling thread does what may take long and nobody's heartbeat waits for (writing a snapshot,
 * packing an archive): on a busy machine it gets a third of what the process's others get. `name`
 * (15 bytes at most) is what ps and top show. Linux has one priority a thread, whatever POSIX says
 * of setpriority(). */
void thread_background(const char *name);
