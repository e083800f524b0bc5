#include "server/delegate.h"

#include "base/arena.h"
#include "server/leave.h"
#include "server/membership.h"
#include "server/server.h"

bool delegate_has_member(const struct delegate *d, struct str name)
{
    struct arena a = {0};
    struct member *members;
    bool has_it = false;
    size_t n = membership_members(d->membership, &a, &members);
    for (size_t i = 0; i < n && !has_it; i++) {
        has_it = str_eq(members[i].name, name);
    }
    arena_deinit(&a);
    return has_it;
}

void delegate_leave(struct delegate *d, void (*done)(void *data), void *data)
{
    server_leave_start(container_of(d, struct server, delegate), done, data);
}
